import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { EXAMPLES } from "./examples";
import { send } from "./send";

export function show(root: HTMLElement | null): void {
  if (!root) return;
  root.replaceChildren();
  const props = { fetcher: send, defaultTabs: EXAMPLES.map((query) => ({ query })), defaultEditorToolsVisibility: false };
  createRoot(root).render(createElement(GraphiQL, props));
}
