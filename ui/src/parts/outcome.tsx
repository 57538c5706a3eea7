import type { Outcome } from "../builder/save";
import type { Json } from "../api/rows";

/** What a test sent, and what came back. */
export function OutcomeView({ outcome }: { outcome: Outcome }) {
  return (
    <div class={`outcome ${outcome.success ? "good" : "bad"}`} role="status">
      <p>
        <b>{outcome.success ? "It arrived." : "It did not arrive."}</b> {outcome.error}
        {outcome.status_code !== null && ` The answer was ${outcome.status_code}.`}
      </p>
      {outcome.rendered !== null && <JsonView label="What was sent" value={outcome.rendered} />}
    </div>
  );
}

export function JsonView({ label, value }: { label: string; value: Json }) {
  return (
    <details>
      <summary>{label}</summary>
      <pre tabIndex={0} aria-label={label}>
        {typeof value === "string" ? pretty(value) : JSON.stringify(value, null, 2)}
      </pre>
    </details>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
