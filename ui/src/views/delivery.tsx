import { useState } from "preact/hooks";
import { mayEdit } from "../api/caller";
import { messageOf, request } from "../api/client";
import { DELIVERY_BY_ID, REDELIVER } from "../api/documents";
import { changed, useLive } from "../api/live";
import type { AttemptRow, DeliveryRow } from "../api/rows";
import { Icon } from "../parts/icon";
import { JsonView } from "../parts/outcome";
import { Loading, Page, Problem } from "../parts/page";
import { StatusBadge } from "../parts/status";
import { Time } from "../parts/time";
import { toast } from "../parts/toast";
import { go, link } from "../route";
import { absolute, capital, localTimes, took } from "../words";
import { whatIsSent } from "./activity";

/** How the server says that it waits for nothing but the time. */
const NEXT_TRY = "its next try";

export function DeliveryView({ id }: { id: string }) {
  const { data, error } = useLive<{ delivery_by_pk: DeliveryRow | null }>(DELIVERY_BY_ID, { id }, { on: ["delivery_changed"], id });
  const [busy, setBusy] = useState(false);
  const row = data?.delivery_by_pk;
  const again = async () => {
    setBusy(true);
    try {
      const { redeliver: made } = await request<{ redeliver: { id: string } }>(REDELIVER, { input: { delivery_id: id } });
      toast("Sent again: this is the new delivery.");
      changed();
      go(link(`deliveries/${made.id}`));
    } catch (reason) {
      toast(messageOf(reason), { tone: "bad" });
    }
    setBusy(false);
  };
  const isOpen = row?.status === "PENDING" || row?.status === "SENDING";
  return (
    <Page
      title={row ? whatIsSent(row) : "Delivery"}
      from={{ name: "Activity", to: "#/activity" }}
      tools={
        row &&
        !isOpen &&
        mayEdit.value && (
          <button type="button" class="primary" disabled={busy} onClick={again}>
            <Icon name="again" /> Send again
          </button>
        )
      }
    >
      <Problem text={error ?? (row === null ? "There is no such delivery." : undefined)} />
      {!data && !error && <Loading />}
      {row && <Facts row={row} />}
      {row && <h2>Attempts</h2>}
      {row && !row.attempts.length && <p class="quiet">None was made yet.</p>}
      <ol class="attempts">{row?.attempts.map((attempt) => <Attempt key={attempt.id} attempt={attempt} />)}</ol>
    </Page>
  );
}

function Facts({ row }: { row: DeliveryRow }) {
  const run = row.firing?.flow_run;
  const isOpen = row.status === "PENDING" || row.status === "SENDING";
  return (
    <dl class="card facts">
      <dt>Status</dt>
      <dd>
        <StatusBadge status={row.status} attempts={row.attempt_count} /> {row.reason}
      </dd>
      {row.waits_for && !row.due_at && (
        <>
          <dt>Waits for</dt>
          <dd>{capital(localTimes(row.waits_for))}</dd>
        </>
      )}
      {isOpen && row.due_at && (
        <>
          <dt>Next try</dt>
          <dd>
            <Time at={row.due_at} /> ({absolute(row.due_at)})
            {row.waits_for && !row.waits_for.startsWith(NEXT_TRY) && `: waits for ${localTimes(row.waits_for)}`}
          </dd>
        </>
      )}
      <dt>Automation</dt>
      <dd>
        {row.automation ? (
          row.automation.deleted_at ? `${row.automation.name} (deleted)` : <a href={link(`automations/${row.automation.id}`)}>{row.automation.name}</a>
        ) : (
          "None: tried out by hand"
        )}
      </dd>
      {run && (
        <>
          <dt>Because of</dt>
          <dd>
            <a href={link(`runs/${run.id}`)}>
              {run.flow?.name} · {run.name}
            </a>
          </dd>
        </>
      )}
      <dt>Owed since</dt>
      <dd>
        <Time at={row.created} /> ({absolute(row.created)})
      </dd>
      {row.redelivery_of && (
        <>
          <dt>Repeats</dt>
          <dd>
            <a href={link(`deliveries/${row.redelivery_of}`)}>an earlier delivery</a>
          </dd>
        </>
      )}
      {row.firing && (
        <>
          <dt>Event</dt>
          <dd>
            <JsonView label="All that it said" value={row.firing.event} />
          </dd>
        </>
      )}
    </dl>
  );
}

const OUTCOMES: Record<string, [string, string]> = {
  DELIVERED: ["Delivered", "good"],
  RETRY: ["To be tried again", "busy"],
  FAILED: ["Failed", "bad"],
  LOST: ["Lost: the sender died", "bad"],
};

function Attempt({ attempt }: { attempt: AttemptRow }) {
  const [word, tone] = OUTCOMES[attempt.outcome] ?? [attempt.outcome, "dull"];
  return (
    <li class="card">
      <p class="meta">
        <b>{attempt.number}.</b> <span class={`badge ${tone}`}>{word}</span>
        {attempt.status_code !== null && <span>HTTP {attempt.status_code}</span>}
        {attempt.finished_at && <span>took {took(attempt.started_at, attempt.finished_at)}</span>}
        <Time at={attempt.started_at} />
      </p>
      {attempt.reason && <p>{attempt.reason}</p>}
      {attempt.request !== null && <JsonView label="What was sent" value={attempt.request} />}
      {attempt.answer && <JsonView label="What came back" value={attempt.answer} />}
    </li>
  );
}
