import { useState } from "preact/hooks";
import { mayEdit } from "../api/caller";
import { AUTOMATION_NAMES, DELIVERIES } from "../api/documents";
import { useLive } from "../api/live";
import type { DeliveryRow } from "../api/rows";
import { kindOfType } from "../builder/catalog";
import { Icon } from "../parts/icon";
import { Empty, Loading, Page, Problem } from "../parts/page";
import { StatusBadge } from "../parts/status";
import { Time } from "../parts/time";
import { filter, link, parameters } from "../route";
import { localTimes } from "../words";
import { Select } from "./automations";
import { SampleButton } from "./sample";

const STEP = 50;

function conditions(query: URLSearchParams): Record<string, unknown> {
  const where: Record<string, unknown> = {};
  if (query.get("automation")) where["automation_id"] = { _eq: query.get("automation") };
  if (query.get("status")) where["status"] = { _eq: query.get("status") };
  const flow = query.get("flow");
  const hours = Number(query.get("since"));
  if (hours) where["created"] = { _gte: hoursAgo(hours) };
  if (flow) where["firing"] = { flow_run: { flow: { name: { _ilike: `%${flow}%` } } } };
  return where;
}

/** To the minute, so that what is asked for does not change with each look. */
function hoursAgo(hours: number): string {
  const minute = 60_000;
  return new Date(Math.floor(Date.now() / minute) * minute - hours * 60 * minute).toISOString();
}

export function ActivityView() {
  const [limit, setLimit] = useState(STEP);
  const query = parameters.value;
  const { data, error } = useLive<{ delivery: DeliveryRow[] }>(DELIVERIES, { where: conditions(query), limit }, { on: ["delivery_changed"] });
  const { data: known } = useLive<{ automation: { id: string; name: string }[] }>(AUTOMATION_NAMES);
  const filtered = ["automation", "status", "flow", "since"].some((name) => query.get(name));
  const rows = data?.delivery ?? [];
  return (
    <Page title="Activity">
      <Problem text={error} />
      <div class="filters" role="search">
        <label class="search">
          <Icon name="search" />
          <input
            type="search"
            aria-label="Flow"
            placeholder="Flow"
            value={query.get("flow") ?? ""}
            onInput={(event) => filter({ flow: event.currentTarget.value })}
          />
        </label>
        <Select name="automation" label="Automation" all="Any automation" options={(known?.automation ?? []).map((row) => [row.id, row.name])} />
        <Select name="status" label="Status" all="Any status" options={[
            ["DELIVERED", "Delivered"], ["FAILED", "Failed"], ["PENDING", "Waiting"], ["SENDING", "Sending"],
            ["SUPPRESSED", "Suppressed"],
          ]} />
        <Select name="since" label="Time" all="Any time" options={[["1", "Last hour"], ["24", "Last 24 hours"], ["168", "Last 7 days"], ["720", "Last 30 days"]]} />
      </div>
      {!data && !error && <Loading />}
      <DeliveryList rows={rows} />
      {data && !rows.length && (
        <Empty>
          <p>{filtered ? "Nothing fits these filters." : "Nothing has been sent yet. What automations do appears here as it happens."}</p>
          {filtered ? (
            <a class="button" href="#/activity">
              Show all
            </a>
          ) : (
            mayEdit.value && <SampleButton />
          )}
        </Empty>
      )}
      {rows.length === limit && (
        <button type="button" onClick={() => setLimit(limit + STEP)}>
          Show more
        </button>
      )}
    </Page>
  );
}

export function DeliveryList({ rows }: { rows: DeliveryRow[] }) {
  return (
    <ul class="rows">
      {rows.map((row) => (
        <li key={row.id}>
          <a href={link(`deliveries/${row.id}`)}>
            <StatusBadge status={row.status} attempts={row.attempt_count} />
            <span class="what">
              <b>{whatIsSent(row)}</b>
              <small>{becauseOf(row)}</small>
              {(row.waits_for ?? (row.status === "DELIVERED" ? null : row.reason)) && <small class="why">{row.waits_for ? `Waits for ${localTimes(row.waits_for)}` : row.reason}</small>}
            </span>
            <Time at={row.created} />
          </a>
        </li>
      ))}
    </ul>
  );
}

export function whatIsSent(row: DeliveryRow): string {
  const kind = kindOfType(row.action_type)?.name ?? row.action_type;
  const detail = row.target ?? row.action?.name;
  return `${kind}${detail ? ` · ${detail}` : ""}${row.is_test ? " (test)" : ""}`;
}

function becauseOf(row: DeliveryRow): string {
  const run = row.firing?.flow_run;
  const about = run ? `${run.flow?.name ?? "a flow"} · ${run.name ?? "a run"}` : null;
  return [row.automation?.name, about].filter(Boolean).join(" — ") || "Tried out by hand";
}
