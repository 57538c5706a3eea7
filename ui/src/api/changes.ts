/** What changed, as the server tells it over one WebSocket. It only says so: what is shown is asked for by queries. */
import { signal } from "@preact/signals";
import { createClient } from "graphql-ws";
import { credentials } from "./session";

export type Topic = "automation_changed" | "delivery_changed" | "flow_run_changed";

/** Called with the id of what changed; null: anything may have. */
export type Listener = (id: string | null) => void;

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
const PING_MS = 15_000;
const PONG_MS = 5_000;
/** For so long nobody looks before nothing is listened to any more. */
const HIDDEN_MS = 10_000;

/** Whether changes are told now; otherwise they have to be asked for. */
export const isTold = signal(false);
/** Whether anything that is shown depends on changes. */
export const isListening = signal(false);

const listeners = new Map<Topic, Set<Listener>>();
const ends = new Map<Topic, () => void>();
let pongTimer = 0;

const client = createClient({
  url: `${location.protocol.replace("http", "ws")}//${location.host}/graphql`,
  connectionParams: credentials,
  lazyCloseTimeout: 2000, // the next view is about to listen
  keepAlive: PING_MS,
  retryAttempts: Number.POSITIVE_INFINITY,
  shouldRetry: () => true,
  retryWait: (retries) => {
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** retries);
    return new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)));
  },
  on: {
    connected: () => setTimeout(catchUp),
    closed: () => {
      clearTimeout(pongTimer);
      isTold.value = false;
    },
    ping: (received) => {
      if (!received) pongTimer = window.setTimeout(() => client.terminate(), PONG_MS);
    },
    pong: (received) => {
      if (received) clearTimeout(pongTimer);
    },
  },
});

/** Hear of a topic; returns how to hear no more. */
export function listen(topic: Topic, listener: Listener): () => void {
  const all = listeners.get(topic) ?? new Set();
  listeners.set(topic, all.add(listener));
  start(topic);
  return () => {
    all.delete(listener);
    if (!all.size) stop(topic);
  };
}

function start(topic: Topic): void {
  if (ends.has(topic) || document.hidden || !listeners.get(topic)?.size) return;
  const again = () => {
    stop(topic);
    setTimeout(() => start(topic), LONGEST_WAIT_MS);
  };
  const end = client.subscribe<Record<string, { id: string }>>(
    { query: `subscription { ${topic} { id } }` },
    { next: ({ data }) => data?.[topic] && tell(topic, data[topic].id), error: again, complete: () => undefined },
  );
  ends.set(topic, end);
  isListening.value = true;
}

function stop(topic: Topic): void {
  ends.get(topic)?.();
  ends.delete(topic);
  isListening.value = ends.size > 0;
}

function tell(topic: Topic, id: string | null): void {
  for (const listener of listeners.get(topic) ?? []) listener(id);
}

/** The server answers in turn: once it has answered this, it listens to what was subscribed to before. */
function catchUp(): void {
  client.subscribe(
    { query: "{ hello }" },
    {
      next: () => {
        isTold.value = true;
        for (const topic of ends.keys()) tell(topic, null);
      },
      error: () => undefined,
      complete: () => undefined,
    },
  );
}

let hiddenTimer = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  if (document.hidden) hiddenTimer = window.setTimeout(() => [...ends.keys()].forEach(stop), HIDDEN_MS);
  else for (const topic of listeners.keys()) start(topic);
});
