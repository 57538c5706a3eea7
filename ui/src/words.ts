/** Times and lengths of time as people say them. */

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

export function ago(at: string, now: number): string {
  const seconds = (now - Date.parse(at)) / 1000;
  if (seconds < -1) return `in ${short(-seconds)}`;
  return seconds < 3 ? "just now" : `${short(seconds)} ago`;
}

function short(seconds: number): string {
  if (seconds < MINUTE) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < HOUR) return `${Math.round(seconds / MINUTE)} min`;
  if (seconds < DAY) return `${Math.round(seconds / HOUR)} h`;
  return counted(Math.round(seconds / DAY), "day");
}

export function absolute(at: string): string {
  return new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** A text of the server's with its times as people here write them. */
export function localTimes(text: string): string {
  return text.replace(/\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)/g, (at) =>
    new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }),
  );
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** 5400 is "1 hour 30 minutes". */
export function lengthInWords(seconds: number): string {
  const parts: string[] = [];
  let rest = seconds;
  for (const [size, noun] of [[DAY, "day"], [HOUR, "hour"], [MINUTE, "minute"], [1, "second"]] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count) parts.push(counted(count, noun));
  }
  return parts.slice(0, 2).join(" ") || "0 seconds";
}

export function took(from: string, to: string): string {
  const ms = Date.parse(to) - Date.parse(from);
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** "a", "a and b", "a, b and c". */
export function listed(items: string[], and = "and"): string {
  return items.length < 2 ? (items[0] ?? "") : `${items.slice(0, -1).join(", ")} ${and} ${items.at(-1)}`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
