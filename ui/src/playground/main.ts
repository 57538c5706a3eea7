/** The editor is big: this says that it comes, and fetches it. */
import "./playground.css";

void import("./editor").then(({ show }) => show(document.getElementById("playground")));
