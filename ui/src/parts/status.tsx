import type { AutomationRow, Status } from "../api/rows";

const WORDS: Record<Status, string> = {
  PENDING: "Waiting",
  SENDING: "Sending",
  DELIVERED: "Delivered",
  FAILED: "Failed",
  SUPPRESSED: "Suppressed",
};

export function statusTone(status: string): string {
  if (status === "DELIVERED") return "good";
  return status === "FAILED" ? "bad" : status === "SUPPRESSED" ? "dull" : "busy";
}

export function StatusBadge({ status, attempts }: { status: Status; attempts: number }) {
  if (status === "PENDING" && attempts) return <span class="badge warn">Retrying</span>;
  return <span class={`badge ${statusTone(status)}`}>{WORDS[status]}</span>;
}

const GOOD = new Set(["Success", "Cached", "Mapped", "Skipped", "Finished", "Looped"]);
const BAD = new Set(["Failed", "TimedOut", "TriggerFailed", "ValidationFailed", "ClientFailed"]);
const DULL = new Set(["Cancelled", "Cancelling", "Paused", "Scheduled", "Pending"]);

export function StateBadge({ state }: { state: string | null }) {
  const name = state ?? "No state";
  return <span class={`badge ${GOOD.has(name) ? "good" : BAD.has(name) ? "bad" : DULL.has(name) ? "dull" : "busy"}`}>{name}</span>;
}

export type Health = "delivering" | "failing" | "never fired" | "needs attention" | "waiting";

export function healthOf(row: AutomationRow): Health {
  if (row.actions.some((action) => action.problems.length || action.paused_reason)) return "needs attention";
  if (!row.deliveries.length) return "never fired";
  // One that was tried and waits for its next try has failed so far.
  const tried = row.deliveries.find((item) => item.status === "DELIVERED" || isFailing(item));
  return tried ? (isFailing(tried) ? "failing" : "delivering") : "waiting";
}

function isFailing(delivery: AutomationRow["deliveries"][number]): boolean {
  return delivery.status === "FAILED" || (delivery.status === "PENDING" && delivery.attempt_count > 0);
}

const HEALTH_TONES: Record<Health, string> = {
  delivering: "good", failing: "bad", "never fired": "dull", "needs attention": "warn", waiting: "busy",
};

export function HealthBadge({ health }: { health: Health }) {
  return <span class={`badge ${HEALTH_TONES[health]}`}>{health}</span>;
}

/** The latest deliveries, oldest first. */
export function History({ deliveries }: { deliveries: AutomationRow["deliveries"] }) {
  if (!deliveries.length) return null;
  const failed = deliveries.filter((item) => item.status === "FAILED").length;
  const label = `The last ${deliveries.length}: ${deliveries.filter((item) => item.status === "DELIVERED").length} delivered, ${failed} failed`;
  return (
    <span class="history" role="img" aria-label={label} title={label}>
      {[...deliveries].reverse().map((item) => (
        <i key={item.id} class={item.status !== "FAILED" && isFailing(item) ? "warn" : statusTone(item.status)} />
      ))}
    </span>
  );
}
