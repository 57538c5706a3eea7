import { signal, type Signal } from "@preact/signals";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { isTold, listen, type Topic } from "./changes";
import { messageOf, request, type Variables } from "./client";
import { paced } from "./pace";

const POLL_MS = 2500;
/** Where the server tells of changes, this is only in case that it forgets one. */
const TOLD_POLL_MS = 30_000;

const writes = signal(0);

/** Everything shown is asked for again: something was written. */
export function changed(): void {
  writes.value += 1;
}

export interface Live<T> {
  data: T | undefined;
  error: string | undefined;
  refresh: () => void;
}

export interface Freshness {
  /** What the answer depends on. Without any it is asked for once, and when something was written here. */
  on?: readonly Topic[];
  /** Only changes of the row with this id count. */
  id?: string;
  /** How often it is asked for where no topic tells of it. */
  everyMs?: number;
}

/** A query's answer, kept fresh while the page is seen. `null` asks for nothing. */
export function useLive<T>(query: string | null, variables: Variables = {}, { on, id, everyMs }: Freshness = {}): Live<T> {
  const key = JSON.stringify([query, variables]);
  const [answer, setAnswer] = useState<{ key: string; data?: T; error?: string }>({ key });
  const asked = useRef(0);
  const asking = useRef(variables);
  asking.current = variables;

  const refresh = useCallback(async () => {
    if (query === null) return;
    const turn = ++asked.current;
    try {
      const data = await request<T>(query, asking.current);
      if (turn === asked.current) setAnswer({ key, data });
    } catch (error) {
      if (turn === asked.current) setAnswer((now) => ({ ...now, key, error: messageOf(error) }));
    }
  }, [key]);

  useEffect(() => {
    let isStale = false;
    let timer = 0;
    const { now, wish, stop } = paced(async () => {
      clearTimeout(timer);
      isStale = document.hidden;
      if (isStale) return;
      await refresh();
      const wait = on ? (isTold.value ? TOLD_POLL_MS : POLL_MS) : everyMs;
      if (wait) timer = window.setTimeout(wish, wait);
    });
    const seen = () => isStale && !document.hidden && wish();
    document.addEventListener("visibilitychange", seen);
    const ends = [
      stop,
      ...(on ?? []).map((topic) => listen(topic, (told) => (!id || !told || told === id) && wish())),
      onChange(writes, () => void refresh()),
      onChange(isTold, () => on && wish()),
      () => document.removeEventListener("visibilitychange", seen),
    ];
    now();
    return () => {
      asked.current += 1;
      clearTimeout(timer);
      for (const end of ends) end();
    };
  }, [refresh, on?.join(), id, everyMs]);

  // The rows of the question before stay until the new ones are there: nothing jumps while one types.
  return { data: answer.data, error: answer.key === key ? answer.error : undefined, refresh };
}

function onChange<T>(of: Signal<T>, then: () => void): () => void {
  let isFirst = true; // a signal tells its value at once
  return of.subscribe(() => {
    if (!isFirst) then();
    isFirst = false;
  });
}
