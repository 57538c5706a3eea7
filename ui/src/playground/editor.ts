import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { FIRST_EXAMPLES } from "./examples";
import { EXAMPLES_PLUGIN } from "./examples-plugin";
import { send } from "./send";

export function show(root: HTMLElement | null): void {
  if (!root) return;
  root.replaceChildren();
  const props = {
    fetcher: send,
    defaultTabs: FIRST_EXAMPLES.map(({ text }) => ({ query: text })),
    defaultEditorToolsVisibility: false,
    plugins: [EXAMPLES_PLUGIN],
  };
  createRoot(root).render(createElement(GraphiQL, props));
}
