import { signal } from "@preact/signals";
import { mayEdit } from "../api/caller";
import { messageOf, request } from "../api/client";
import { AUTOMATIONS, DELETE_AUTOMATION, TEST_AUTOMATION, UPDATE_AUTOMATION } from "../api/documents";
import { changed, useLive } from "../api/live";
import type { AutomationRow } from "../api/rows";
import { ACTION_KINDS, kindOfType } from "../builder/catalog";
import { actionWords, draftOf, sentence, whenPieces, type Names } from "../builder/draft";
import type { Outcome } from "../builder/save";
import { Icon } from "../parts/icon";
import { LongList } from "../parts/long-list";
import { useNames } from "../parts/names";
import { Empty, Loading, Page, Problem } from "../parts/page";
import { HealthBadge, healthOf, History, type Health } from "../parts/status";
import { Time } from "../parts/time";
import { toast } from "../parts/toast";
import { filter, link, parameters } from "../route";
import { listed } from "../words";
import { TryIt } from "./sample";
import { Welcome } from "./welcome";

/** Switched off and out of sight, to be deleted once nobody wants them back. */
const leaving = signal<ReadonlySet<string>>(new Set());

/**
 * Deleting waits: at first the automation is only paused, and it goes once the offer to undo has gone. So undoing
 * keeps its id and its history.
 */
async function remove(row: AutomationRow): Promise<void> {
  const hide = (hidden: boolean) => {
    const rest = [...leaving.value].filter((id) => id !== row.id);
    leaving.value = new Set(hidden ? [...rest, row.id] : rest);
  };
  const setEnabled = (enabled: boolean) => request(UPDATE_AUTOMATION, { input: { automation_id: row.id, enabled } });
  const forever = async () => {
    window.removeEventListener("pagehide", atEnd);
    try {
      await request(DELETE_AUTOMATION, { input: { automation_id: row.id } });
    } catch (error) {
      hide(false);
      toast(messageOf(error), { tone: "bad" });
    }
    changed();
  };
  const atEnd = () => void request(DELETE_AUTOMATION, { input: { automation_id: row.id } }, true);
  try {
    hide(true);
    if (row.enabled) await setEnabled(false);
  } catch (error) {
    hide(false);
    toast(messageOf(error), { tone: "bad" });
    return;
  }
  window.addEventListener("pagehide", atEnd);
  toast("Deleted.", {
    button: {
      label: "Undo",
      run: async () => {
        window.removeEventListener("pagehide", atEnd);
        try {
          if (row.enabled) await setEnabled(true);
        } catch (error) {
          toast(messageOf(error), { tone: "bad" });
        }
        hide(false);
        changed();
      },
    },
    done: () => void forever(),
  });
}

async function sendTest(row: AutomationRow): Promise<void> {
  try {
    const { test_automation: made } = await request<{ test_automation: { results: Outcome[] } }>(TEST_AUTOMATION, {
      input: { automation_id: row.id },
    });
    const failed = made.results.filter((result) => !result.success);
    if (failed.length) toast(`The test failed: ${failed[0]?.error ?? ""}`, { tone: "bad" });
    else toast("The test arrived.");
  } catch (error) {
    toast(messageOf(error), { tone: "bad" });
  }
  changed();
}

const HEALTHS: Health[] = ["delivering", "failing", "never fired", "needs attention", "waiting"];

export function AutomationsView() {
  const { data, error } = useLive<{ automation: AutomationRow[] }>(AUTOMATIONS, {}, { on: ["automation_changed", "delivery_changed"] });
  const rows = data?.automation.filter((row) => !leaving.value.has(row.id));
  const names = useNames(data?.automation);
  const query = parameters.value;
  const text = (query.get("q") ?? "").toLowerCase();
  const shown = (rows ?? []).filter((row) => {
    return (
      (!text || wordsOf(row, names).includes(text)) &&
      (!query.get("event") || row.event_type === query.get("event")) &&
      (!query.get("action") || row.actions.some((action) => action.action_type === query.get("action"))) &&
      (!query.get("health") || healthOf(row) === query.get("health"))
    );
  });
  if (rows && !rows.length) return <Welcome />;
  return (
    <Page
      title="Automations"
      tools={
        mayEdit.value && (
          <a class="button primary" href="#/new">
            <Icon name="plus" /> New
          </a>
        )
      }
    >
      <Problem text={error} />
      {rows && mayEdit.value && !rows.some((row) => row.firings.length) && <TryIt />}
      {rows && (
        <div class="filters" role="search">
          <label class="search">
            <Icon name="search" />
            <input
              type="search"
              aria-label="Search automations"
              placeholder="Search"
              value={query.get("q") ?? ""}
              onInput={(event) => filter({ q: event.currentTarget.value })}
            />
          </label>
          <Select name="event" label="Event" all="Any event" options={[
              ["FlowRunStateChangedEvent", "State of a run"],
              ["FlowSLAFailedEvent", "Run is late"],
              ["AgentSLAFailedEvent", "Agents are quiet"],
              ["ServerProblemEvent", "Server has a problem"],
            ]} />
          <Select name="action" label="Action" all="Any action" options={ACTION_KINDS.map((kind) => [kind.type, kind.name])} />
          <Select name="health" label="Health" all="Any health" options={HEALTHS.map((health) => [health, health])} />
        </div>
      )}
      {!names && !error && <Loading />}
      {names && (
        <LongList class="cards" items={shown}>
          {(row) => <AutomationCard key={row.id} row={row} names={names} />}
        </LongList>
      )}
      {rows && !shown.length && (
        <Empty>
          <p>Nothing fits these filters.</p>
          <a class="button" href="#/">
            Show all
          </a>
        </Empty>
      )}
    </Page>
  );
}

/** All that can be searched for. */
function wordsOf(row: AutomationRow, names: Names | undefined): string {
  return `${row.name} ${row.description ?? ""} ${names ? sentence(draftOf(row, names)) : ""}`.toLowerCase();
}

interface SelectProps {
  name: string;
  label: string;
  all: string;
  options: (readonly [string, string])[];
}

export function Select({ name, label, all, options }: SelectProps) {
  return (
    <select aria-label={label} value={parameters.value.get(name) ?? ""} onChange={(event) => filter({ [name]: event.currentTarget.value })}>
      <option value="">{all}</option>
      {options.map(([value, text]) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </select>
  );
}

function AutomationCard({ row, names }: { row: AutomationRow; names: Names }) {
  const draft = draftOf(row, names);
  const words = sentence(draft);
  const fired = row.firings[0];
  const troubles = [...new Set(row.actions.flatMap((action) => [...action.problems, action.paused_reason ?? ""]).filter(Boolean))];
  return (
    <li class={row.enabled ? "card automation" : "card automation off"}>
      <span class="icons">
        {[...new Set(row.actions.map((action) => kindOfType(action.action_type)?.icon ?? "bolt"))].slice(0, 1).map((icon) => (
          <Icon key={icon} name={icon} />
        ))}
      </span>
      <div class="body">
        {draft.name !== null && <p class="name">{draft.name}</p>}
        <p class="words">
          <a href={link(`automations/${row.id}`)}>
            {whenPieces(draft).map((piece, at) => (piece.strong ? <b key={at}>{piece.text}</b> : piece.text))},{" "}
            <b>{listed(draft.actions.map(actionWords))}</b>
          </a>
        </p>
        <p class="meta">
          {row.enabled ? <HealthBadge health={healthOf(row)} /> : <span class="badge dull">paused</span>}
          <History deliveries={row.deliveries} />
          {fired && (
            <a href={link("activity", { automation: row.id })}>
              fired <Time at={fired.created} />
            </a>
          )}
        </p>
        {troubles.map((trouble) => (
          <p key={trouble} class="warning">
            {trouble}
          </p>
        ))}
      </div>
      {mayEdit.value && <CardTools row={row} words={words} />}
    </li>
  );
}

function CardTools({ row, words }: { row: AutomationRow; words: string }) {
  const toggle = async () => {
    try {
      await request(UPDATE_AUTOMATION, { input: { automation_id: row.id, enabled: !row.enabled } });
    } catch (error) {
      toast(messageOf(error), { tone: "bad" });
    }
    changed();
  };
  return (
    <div class="tools">
      <label class="switch">
        <input type="checkbox" role="switch" checked={row.enabled} aria-label={`${words}: on`} onChange={toggle} />
      </label>
      <span class="buttons">
        <button type="button" class="bare" title="Send a test" aria-label={`Send a test: ${words}`} onClick={() => void sendTest(row)}>
          <Icon name="play" />
        </button>
        <a class="bare" title="Duplicate" aria-label={`Duplicate: ${words}`} href={link("new", { from: row.id })}>
          <Icon name="copy" />
        </a>
        <button type="button" class="bare" title="Delete" aria-label={`Delete: ${words}`} onClick={() => void remove(row)}>
          <Icon name="trash" />
        </button>
      </span>
    </div>
  );
}

