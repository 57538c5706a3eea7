import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

const STEP = 40;
/** How far below what is seen rows are ready. */
const AHEAD = "1000px";

interface LongListProps<T> {
  items: T[];
  class: string;
  children: (item: T) => ComponentChildren;
}

/** The first rows of a list, and more of them as one comes near its end: a thousand at once take a second to draw. */
export function LongList<T>({ items, class: name, children }: LongListProps<T>) {
  const [most, setMost] = useState(STEP);
  const end = useRef<HTMLLIElement>(null);
  const goesOn = items.length > most;
  useEffect(() => {
    if (!end.current) return;
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (entry?.isIntersecting) setMost((now) => now + STEP);
      },
      { rootMargin: AHEAD },
    );
    observer.observe(end.current);
    return () => observer.disconnect();
  }, [goesOn, most]);
  return (
    <ul class={name}>
      {items.slice(0, most).map(children)}
      {goesOn && <li ref={end} class="end" aria-hidden="true" />}
    </ul>
  );
}
