import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { EXAMPLES } from "./examples";

interface Operation {
  query: string;
  variables?: Record<string, unknown>;
  operationName?: string | null;
}

async function send(operation: Operation) {
  const headers: Record<string, string> = { "content-type": "application/json" };
  const key = sessionStorage.getItem("automations.key");
  if (key) headers["authorization"] = `Bearer ${key}`;
  const response = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify(operation) });
  return response.json();
}

export function show(root: HTMLElement | null): void {
  if (!root) return;
  root.replaceChildren();
  const props = {
    fetcher: send,
    defaultTabs: EXAMPLES.map((query) => ({ query })),
    defaultEditorToolsVisibility: false,
  };
  createRoot(root).render(createElement(GraphiQL, props));
}
