import { computed, signal } from "@preact/signals";

/** The part of the address after `#`, without a round trip to the server. */
const hash = signal(location.hash);
/** Where somebody wants to go while work is unsaved. */
export const leavingTo = signal<string | null>(null);
let isUnsaved: () => boolean = () => false;

export const path = computed(() => hash.value.replace(/^#\/?/, "").split("?")[0] ?? "");
export const parameters = computed(() => new URLSearchParams(hash.value.split("?")[1] ?? ""));

window.addEventListener("hashchange", () => {
  if (location.hash === hash.value) return;
  if (isUnsaved()) {
    leavingTo.value = location.hash;
    history.pushState(null, "", hash.value || "#/");
    return;
  }
  arrive();
});

window.addEventListener("beforeunload", (event) => {
  if (isUnsaved()) event.preventDefault();
});

function arrive(): void {
  hash.value = location.hash;
  window.scrollTo(0, 0);
}

/** Ask before this page is left while `unsaved` says so; returns how to stop asking. */
export function guard(unsaved: () => boolean): () => void {
  isUnsaved = unsaved;
  return () => {
    if (isUnsaved === unsaved) isUnsaved = () => false;
  };
}

/** Go somewhere, whatever is unsaved. */
export function go(to: string): void {
  isUnsaved = () => false;
  leavingTo.value = null;
  location.hash = to;
}

export function link(to: string, query: Record<string, string | null | undefined> = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const text = new URLSearchParams(given).toString();
  return `#/${to}${text ? `?${text}` : ""}`;
}

/** Change the query of the present place without a step in the history. */
export function filter(query: Record<string, string>): void {
  history.replaceState(null, "", link(path.value, { ...Object.fromEntries(parameters.value), ...query }));
  hash.value = location.hash;
}
