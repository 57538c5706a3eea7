import { useEditorContext, type GraphiQLPlugin } from "@graphiql/react";
import { createElement as h } from "react";
import { credentials } from "../api/session";
import { GROUPS, readied, type Example } from "./examples";

async function ask(query: string): Promise<unknown> {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", ...credentials() },
    body: JSON.stringify({ query }),
  });
  return response.json();
}

/** Every example, to be put into the editor. */
function Examples() {
  const editor = useEditorContext({ nonNull: true });
  const put = async (example: Example) => editor.queryEditor?.setValue(await readied(example, ask));
  return h(
    "section",
    { "aria-label": "Examples" },
    h("div", { className: "graphiql-doc-explorer-title" }, "Examples"),
    GROUPS.map(({ name, examples }) =>
      h(
        "div",
        { key: name },
        h("h3", { className: "example-group" }, name),
        examples.map((example) =>
          h(
            "button",
            { key: example.title, type: "button", className: "graphiql-un-styled example", onClick: () => void put(example) },
            example.title,
          ),
        ),
      ),
    ),
  );
}

function Icon() {
  const lines = ["M5 6h14", "M5 12h14", "M5 18h8"].map((d) => h("path", { key: d, d, stroke: "currentColor", strokeWidth: 1.5 }));
  return h("svg", { width: "1em", height: "1em", viewBox: "0 0 24 24", fill: "none", "aria-hidden": true }, lines);
}

export const EXAMPLES_PLUGIN: GraphiQLPlugin = { title: "Examples", icon: Icon, content: Examples };
