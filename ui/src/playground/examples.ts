/** Operations that are ready to run, of every kind that the API has: a file a group, each below its title. */
const FILES = import.meta.glob<string>("./examples/*.graphql", { query: "?raw", import: "default", eager: true });

export interface Example {
  title: string;
  text: string;
}

export interface Group {
  name: string;
  examples: Example[];
}

export const GROUPS: Group[] = Object.keys(FILES)
  .sort()
  .map((path) => ({
    name: path.replace(/^.*\/\d+ |\.graphql$/g, ""),
    examples: (FILES[path] ?? "").trim().split(/\n\n(?=#)/).map(exampleOf),
  }));

function exampleOf(text: string): Example {
  return { title: (text.split("\n")[0] ?? "").replace(/^# /, ""), text: `${text}\n` };
}

/** What the first visit has in tabs of their own. */
const FIRST = ["WhatHappened", "Automations", "TellWhatFailed", "Deliveries", "Preview"];

export const FIRST_EXAMPLES: Example[] = FIRST.flatMap((name) =>
  GROUPS.flatMap((group) => group.examples.filter((example) => new RegExp(`^\\w+ ${name}\\b`, "m").test(example.text))),
);

/** What ends something is not made ready with one of your ids. */
const ENDS = /\b(delete|archive|cancel)_/;
const PLACE = /"(AUTOMATION|ACTION|DELIVERY|FLOW_RUN|FLOW|FLOW_GROUP|PROJECT|AGENT_CONFIG|FLOW_SLA_CONFIG|TASK|TASK_RUN)"/g;

/** The example with ids of your newest rows in the places of names such as "AUTOMATION". */
export async function readied(example: Example, ask: (query: string) => Promise<unknown>): Promise<string> {
  const tables = [...new Set([...example.text.matchAll(PLACE)].map((match) => (match[1] ?? "").toLowerCase()))];
  if (!tables.length || ENDS.test(example.text)) return example.text;
  const fields = tables.map((table) => `${table}(order_by: {created: desc}, limit: 1) { id }`);
  const answer = (await ask(`{ ${fields.join(" ")} }`)) as { data?: Record<string, { id: string }[]> };
  return example.text.replace(PLACE, (place, table: string) => {
    const id = answer.data?.[table.toLowerCase()]?.[0]?.id;
    return id ? `"${id}"` : place;
  });
}
