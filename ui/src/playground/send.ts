import { getOperationAST, parse } from "graphql";

export interface Operation {
  query: string;
  variables?: Record<string, unknown>;
  operationName?: string | null;
}

/** One answer, or those of a subscription as they come. */
export function send(operation: Operation) {
  const isSubscription = getOperationAST(parse(operation.query), operation.operationName)?.operation === "subscription";
  return isSubscription ? answers(operation) : answer(operation);
}

function post(operation: Operation, accept: string): Promise<Response> {
  const headers: Record<string, string> = { "content-type": "application/json", accept };
  const key = sessionStorage.getItem("automations.key");
  if (key) headers["authorization"] = `Bearer ${key}`;
  return fetch("/graphql", { method: "POST", headers, body: JSON.stringify(operation) });
}

async function answer(operation: Operation) {
  return (await post(operation, "application/json")).json();
}

/** GraphQL over server-sent events, in its distinct-connections mode. */
async function* answers(operation: Operation) {
  const response = await post(operation, "text/event-stream");
  if (!response.body || !response.headers.get("content-type")?.startsWith("text/event-stream")) {
    yield await response.json();
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const events = (text + part.value).split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        if (/^event: ?complete/m.test(event)) return;
        const data = /^data: ?(.+)$/m.exec(event)?.[1];
        if (data) yield JSON.parse(data);
      }
    }
  } finally {
    await reader.cancel();
  }
}
