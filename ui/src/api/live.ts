import { signal } from "@preact/signals";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { messageOf, request, type Variables } from "./client";

const POLL_MS = 2500;

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

/** A query's answer, asked for again and again while the page is seen. `null` asks for nothing. */
export function useLive<T>(query: string | null, variables: Variables = {}, pollMs = POLL_MS): Live<T> {
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
    let timer = 0;
    let over = false;
    const again = async () => {
      clearTimeout(timer);
      if (!document.hidden) await refresh();
      if (!over && pollMs > 0) {
        clearTimeout(timer);
        timer = window.setTimeout(again, pollMs);
      }
    };
    const seen = () => void (document.hidden || again());
    const stop = writes.subscribe(() => void again());
    document.addEventListener("visibilitychange", seen);
    return () => {
      over = true;
      asked.current += 1;
      clearTimeout(timer);
      stop();
      document.removeEventListener("visibilitychange", seen);
    };
  }, [refresh, pollMs]);

  // The rows of the question before stay until the new ones are there: nothing jumps while one types.
  return { data: answer.data, error: answer.key === key ? answer.error : undefined, refresh };
}
