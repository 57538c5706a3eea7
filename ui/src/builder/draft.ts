/** An automation while it is made: from a row of the API, to an input of the API, and as a sentence. */
import type { ActionRow, AutomationRow, Config, EventRow, Json, StateGroup } from "../api/rows";
import type { IconName } from "../parts/icon";
import { capital, counted, lengthInWords, listed } from "../words";
import { ECHO_URL, PROBLEMS, kindOfKey, kindOfType, type Field } from "./catalog";

export interface Named {
  id: string;
  name: string;
}

export interface ActionDraft {
  /** Tells drafts apart in lists; not sent. */
  key: string;
  kind: string;
  /** Id of a saved action: only it is sent then. */
  saved: string | null;
  name: string | null;
  config: Config;
  /** Texts of fields whose JSON cannot be read yet. */
  unread: Record<string, string>;
  /** Secrets to set before it is saved, by field. */
  secrets: Record<string, { name: string; value: string }>;
}

export interface Draft {
  id: string | null;
  /** null: the sentence is the name. */
  name: string | null;
  description: string;
  enabled: boolean;
  subject: "flows" | "agents" | "server";
  flows: Named[];
  projects: string[];
  verb: "enters" | "not_started" | "not_finished" | "kept";
  group: StateGroup | null;
  states: string[];
  seconds: number;
  configs: Named[];
  minHealthy: number;
  quietSeconds: number;
  /** Of the server; none: all. */
  problems: string[];
  /** SLAs made elsewhere: kept as they are. */
  slas: string[];
  actions: ActionDraft[];
}

export type Names = ReadonlyMap<string, string>;

let made = 0;

export function newAction(kind: string): ActionDraft {
  const config: Config = kind === "pagerduty_notification" ? { severity: "error" } : {};
  return { key: `action-${++made}`, kind, saved: null, name: null, config, unread: {}, secrets: {} };
}

export function actionDraft(row: ActionRow): ActionDraft {
  return {
    ...newAction(kindOfType(row.action_type)?.key ?? ""),
    saved: row.inline ? null : row.id,
    name: row.name,
    config: row.action_config,
  };
}

export function newDraft(): Draft {
  return {
    id: null, name: null, description: "", enabled: true, subject: "flows", flows: [], projects: [], verb: "enters",
    group: "FAILED", states: [], seconds: 1800, configs: [], minHealthy: 1, quietSeconds: 60, problems: [], slas: [],
    actions: [],
  };
}

export function draftOf(row: AutomationRow, names: Names): Draft {
  const event: EventRow = row.event;
  const named = (ids: string[] | undefined): Named[] => (ids ?? []).map((id) => ({ id, name: names.get(id) ?? "…" }));
  const draft: Draft = {
    ...newDraft(),
    id: row.id,
    description: row.description ?? "",
    enabled: row.enabled,
    flows: named(event.flow_group_ids),
    projects: event.project_ids ?? [],
    actions: row.actions.map(actionDraft),
  };
  if (row.event_type === "AgentSLAFailedEvent") {
    draft.subject = "agents";
    draft.configs = named(event.agent_config_ids);
    draft.minHealthy = event.min_healthy ?? 1;
    draft.quietSeconds = event.unhealthy_after_seconds ?? 60;
  } else if (row.event_type === "ServerProblemEvent") {
    draft.subject = "server";
    draft.problems = event.problems ?? [];
  } else if (row.event_type === "FlowSLAFailedEvent") {
    draft.verb = event.kind === undefined ? "kept" : event.kind === "SCHEDULED_NOT_STARTED" ? "not_started" : "not_finished";
    draft.seconds = event.duration_seconds ?? draft.seconds;
    draft.slas = event.flow_sla_config_ids ?? [];
  } else {
    draft.group = event.state_group ?? null;
    draft.states = event.state_group ? [] : (event.states ?? []);
  }
  draft.name = row.name === sentence(draft) ? null : row.name;
  return draft;
}

export function eventType(draft: Draft): string {
  if (draft.subject === "agents") return "AgentSLAFailedEvent";
  if (draft.subject === "server") return "ServerProblemEvent";
  return draft.verb === "enters" ? "FlowRunStateChangedEvent" : "FlowSLAFailedEvent";
}

const GROUP_WORDS: Record<StateGroup, string> = {
  FAILED: "fails",
  SUCCESS: "succeeds",
  FINISHED: "ends, well or badly",
  ALL: "changes its state",
};

export function subjectWords(draft: Draft): string {
  if (draft.subject === "server") return "the server";
  if (draft.subject === "agents") {
    const names = draft.configs.map((config) => config.name);
    return names.length ? `the agents of ${few(names)}` : "agents of …";
  }
  return draft.flows.length ? few(draft.flows.map((flow) => flow.name), "or") : "any flow";
}

export function verbWords(draft: Draft): string {
  if (draft.subject === "server") return problemWords(draft.problems);
  if (draft.subject === "agents") return draft.minHealthy > 1 ? `are fewer than ${draft.minHealthy}` : "go quiet";
  switch (draft.verb) {
    case "not_started":
      return "does not start";
    case "not_finished":
      return "does not finish";
    case "kept":
      return `fails ${counted(draft.slas.length, "SLA")}`;
    case "enters":
      return draft.group ? GROUP_WORDS[draft.group] : `enters ${listed(draft.states, "or") || "…"}`;
  }
}

function problemWords(problems: string[]): string {
  return problems.length ? `finds that ${few(problems.map((problem) => PROBLEMS[problem] ?? problem), "or")}` : "has a problem";
}

/** How long, where the verb needs it. */
export function lengthWords(draft: Draft): string | null {
  if (draft.subject === "server") return null;
  if (draft.subject === "agents") return lengthInWords(draft.quietSeconds);
  return draft.verb === "not_started" || draft.verb === "not_finished" ? lengthInWords(draft.seconds) : null;
}

export interface Piece {
  text: string;
  strong?: boolean;
}

/** The "when" half of the sentence. */
export function whenPieces(draft: Draft): Piece[] {
  const pieces: Piece[] = [{ text: draft.subject === "flows" ? "When a run of " : "When " }];
  pieces.push({ text: subjectWords(draft), strong: true }, { text: " " }, { text: verbWords(draft), strong: true });
  const length = lengthWords(draft);
  if (length) pieces.push({ text: draft.subject === "agents" ? " for " : " within " }, { text: length, strong: true });
  return pieces;
}

export function actionWords(action: ActionDraft): string {
  return kindOfKey(action.kind)?.phrase(action.name, action.config) ?? action.name ?? "do something";
}

export function sentence(draft: Draft): string {
  const when = whenPieces(draft).map((piece) => piece.text).join("");
  return `${when}, ${listed(draft.actions.map(actionWords)) || "…"}`.slice(0, 200);
}

function few(names: string[], and = "and"): string {
  return names.length > 3 ? `${names.slice(0, 2).join(", ")} ${and} ${names.length - 2} more` : listed(names, and);
}

/** What is missing, in words; empty where it can be saved. */
export function missing(draft: Draft): string[] {
  const lacks: string[] = [];
  if (draft.subject === "agents" && !draft.configs.length) lacks.push("Choose whose agents to watch.");
  if (draft.subject === "flows" && draft.verb === "enters" && !draft.group && !draft.states.length) {
    lacks.push("Choose a state.");
  }
  if (!draft.actions.length) lacks.push("Choose what to do.");
  for (const action of draft.actions) lacks.push(...missingOf(action));
  if (draft.name !== null && !draft.name.trim()) lacks.push("Give it a name.");
  return lacks;
}

export function missingOf(action: ActionDraft): string[] {
  if (action.saved) return [];
  const kind = kindOfKey(action.kind);
  if (!kind) return ["This kind of action is not known to this page."];
  const lacks = kind.fields.flatMap((field) => (fieldProblem(action, field) ? [`${kind.name}: ${fieldProblem(action, field)}`] : []));
  if (kind.key === "webhook" && !isGiven(action, "url") && !isGiven(action, "url_secret")) lacks.push("Webhook: give a URL.");
  return lacks;
}

function isGiven(action: ActionDraft, name: string): boolean {
  const value = action.config[name];
  return Boolean(action.secrets[name]?.value) || (Array.isArray(value) ? value.length > 0 : Boolean(value));
}

export function fieldProblem(action: ActionDraft, field: Field): string | null {
  if (action.unread[field.name] !== undefined) return `${field.label} is not JSON yet.`;
  return field.required && !isGiven(action, field.name) ? `${field.label} is missing.` : null;
}

export function actionConfig(action: ActionDraft): Record<string, Config> {
  const config: Config = {};
  for (const [name, value] of Object.entries(action.config)) {
    if (value !== null && value !== "" && !(Array.isArray(value) && !value.length)) config[name] = value;
  }
  for (const [field, secret] of Object.entries(action.secrets)) if (secret.value) config[field] = secret.name;
  return { [action.kind]: config };
}

function eventInput(draft: Draft): Record<string, Json> {
  const flow_group_ids = draft.flows.map((flow) => flow.id);
  if (draft.subject === "agents") {
    return {
      agent_sla_failed: {
        agent_config_ids: draft.configs.map((config) => config.id),
        min_healthy: draft.minHealthy,
        unhealthy_after_seconds: draft.quietSeconds,
      },
    };
  }
  if (draft.subject === "server") return { server_problem: { problems: draft.problems } };
  if (draft.verb === "enters") {
    const states: Config = draft.group ? { state_group: draft.group } : { states: draft.states };
    return { flow_run_state_changed: { ...states, flow_group_ids, project_ids: draft.projects } };
  }
  const kind = draft.verb === "not_started" ? "SCHEDULED_NOT_STARTED" : "STARTED_NOT_FINISHED";
  return { flow_sla_failed: { kind, duration_seconds: draft.seconds, flow_group_ids } };
}

/** The input of create_automation, or of update_automation. What was not touched stays: actions keep their ids. */
export function inputOf(draft: Draft, before: Draft | null): Record<string, unknown> {
  const input: Record<string, unknown> = {
    name: (draft.name ?? sentence(draft)).trim(),
    description: draft.description.trim() || null,
    enabled: draft.enabled,
  };
  if (draft.verb !== "kept" || draft.subject !== "flows") input["event"] = eventInput(draft);
  if (!before?.id || JSON.stringify(before.actions) !== JSON.stringify(draft.actions)) {
    input["actions"] = draft.actions.map((item) => (item.saved ? { action_id: item.saved } : actionConfig(item)));
  }
  if (before?.id) input["automation_id"] = before.id;
  return input;
}

export function copyOf(draft: Draft): Draft {
  return { ...draft, id: null, name: capital(`${draft.name ?? sentence(draft)} (copy)`).slice(0, 200) };
}

export interface Recipe {
  title: string;
  hint?: string;
  icon: IconName;
  draft: () => Draft;
}

/** Starting points that the first visit offers. */
export const RECIPES: Record<string, Recipe> = {
  echo: {
    title: "Just try it, with a built-in echo",
    hint: "Works at once: no account is needed, and nothing leaves the server.",
    icon: "play",
    draft: () => ({ ...newDraft(), actions: [{ ...newAction("webhook"), config: { url: ECHO_URL } }] }),
  },
  slack: {
    title: "Tell Slack when a run fails",
    icon: "chat",
    draft: () => ({ ...newDraft(), actions: [newAction("slack_notification")] }),
  },
  late: {
    title: "Page somebody when a run takes too long",
    icon: "alarm",
    draft: () => ({ ...newDraft(), verb: "not_finished", actions: [newAction("pagerduty_notification")] }),
  },
  agents: {
    title: "Write an e-mail when agents go quiet",
    icon: "mail",
    draft: () => ({ ...newDraft(), subject: "agents", actions: [newAction("email_notification")] }),
  },
  webhook: {
    title: "Call a webhook whenever a run changes its state",
    icon: "globe",
    draft: () => ({ ...newDraft(), group: "ALL", actions: [newAction("webhook")] }),
  },
};
