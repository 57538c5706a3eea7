import { signal } from "@preact/signals";
import { absolute, ago } from "../words";

const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 5000);

/** How long ago; the moment itself on hover. */
export function Time({ at }: { at: string }) {
  void now.value; // said anew as it passes
  return (
    <time dateTime={at} title={absolute(at)}>
      {ago(at, Date.now())}
    </time>
  );
}
