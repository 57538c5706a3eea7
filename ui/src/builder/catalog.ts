/** What the API takes, once: the kinds of action with their fields, the kinds of event with their attributes. */
import type { Config, Json } from "../api/rows";
import type { IconName } from "../parts/icon";
import { listed } from "../words";

export type FieldKind = "text" | "message" | "secret" | "list" | "json" | "choice" | "flow";

export interface Field {
  name: string;
  label: string;
  kind: FieldKind;
  required?: boolean;
  hint?: string;
  placeholder?: string;
  choices?: string[];
  /** Name that a new secret for this field is offered. */
  secret?: string;
  /** Rarely needed: kept behind "More". */
  more?: boolean;
}

export interface ActionKind {
  key: string;
  type: string;
  name: string;
  does: string;
  icon: IconName;
  /** The end of the sentence: "tell Slack". `name` is that of a saved action. */
  phrase: (name: string | null, config: Config) => string;
  needsRun?: boolean;
  fields: Field[];
  help?: { title: string; steps: string[]; link?: string };
}

/** The server answers it itself, with what it was sent. */
const ECHO_HOST = "echo.invalid";
export const ECHO_URL = `https://${ECHO_HOST}`;

const MESSAGE: Field = { name: "message", label: "Message", kind: "message" };

function texts(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function host(url: Json | undefined): string | null {
  try {
    return typeof url === "string" ? new URL(url).host : null;
  } catch {
    return null;
  }
}

/** Who is called; of the rest of a URL, only those who may change it are told. */
function receiver(url: Json | undefined): string | null {
  return host(url) === ECHO_HOST ? "the built-in echo" : host(url);
}

function few(items: string[]): string {
  return items.length > 2 ? `${items[0]} and ${items.length - 1} more` : listed(items);
}

/** "tell #data on Slack"; a name that says Slack already is enough. */
function told(name: string | null, where: string): string {
  if (!name) return `tell ${where}`;
  return name.toLowerCase().includes(where.toLowerCase()) ? `tell ${name}` : `tell ${name} on ${where}`;
}

export const ACTION_KINDS: ActionKind[] = [
  {
    key: "slack_notification",
    type: "SlackNotificationAction",
    name: "Slack",
    does: "Tell a channel",
    icon: "chat",
    phrase: (name) => told(name, "Slack"),
    fields: [
      {
        name: "webhook_url_secret",
        label: "Webhook URL",
        kind: "secret",
        required: true,
        secret: "SLACK_WEBHOOK",
        placeholder: "https://hooks.slack.com/services/…",
      },
      MESSAGE,
    ],
    help: {
      title: "Where do I get a Slack webhook URL?",
      steps: [
        "Open api.slack.com/apps and create an app from scratch in your workspace.",
        "Choose “Incoming Webhooks” and switch them on.",
        "Choose “Add New Webhook to Workspace”, pick the channel, and allow it.",
        "Copy the URL that begins with https://hooks.slack.com/services/ and paste it here.",
      ],
    },
  },
  {
    key: "teams_webhook_notification",
    type: "TeamsWebhookNotificationAction",
    name: "Microsoft Teams",
    does: "Post a card to a channel",
    icon: "people",
    phrase: (name) => told(name, "Teams"),
    fields: [
      {
        name: "webhook_url_secret",
        label: "Workflow URL",
        kind: "secret",
        required: true,
        secret: "TEAMS_WEBHOOK",
        placeholder: "https://….logic.azure.com/workflows/…",
      },
      { name: "title", label: "Title", kind: "text", hint: "What happened, where it is empty." },
      MESSAGE,
    ],
    help: {
      title: "Where do I get a Teams workflow URL?",
      steps: [
        "In Teams, open the menu of the channel (…) and choose “Workflows”.",
        "Choose “Send webhook alerts to a channel”, and save it.",
        "Copy the URL that it shows and paste it here, the whole of it.",
      ],
    },
  },
  {
    key: "email_notification",
    type: "EmailNotificationAction",
    name: "E-mail",
    does: "Write to some addresses",
    icon: "mail",
    phrase: (name, config) => (name ? `e-mail ${name}` : `e-mail ${few(texts(config["to_emails"])) || "somebody"}`),
    fields: [
      {
        name: "to_emails",
        label: "Addresses",
        kind: "list",
        required: true,
        placeholder: "data-team@example.com",
        hint: "One a line, or with commas between.",
      },
      { name: "subject", label: "Subject", kind: "text", hint: "What happened, where it is empty." },
      { name: "body", label: "Text", kind: "message" },
    ],
  },
  {
    key: "twilio_notification",
    type: "TwilioNotificationAction",
    name: "Text message",
    does: "Text some phones, by Twilio",
    icon: "phone",
    phrase: (name, config) => (name ? `text ${name}` : `text ${few(texts(config["phone_numbers"])) || "somebody"}`),
    fields: [
      {
        name: "phone_numbers",
        label: "Phone numbers",
        kind: "list",
        required: true,
        placeholder: "+1 555 555 5555",
        hint: "One a line, or with commas between.",
      },
      { name: "account_sid", label: "Account SID", kind: "text", required: true, placeholder: "AC…" },
      { name: "auth_token_secret", label: "Auth token", kind: "secret", required: true, secret: "TWILIO_TOKEN" },
      {
        name: "messaging_service_sid",
        label: "Messaging service SID",
        kind: "text",
        required: true,
        placeholder: "MG…",
      },
      MESSAGE,
    ],
    help: {
      title: "Where do I find these in Twilio?",
      steps: [
        "The account SID (AC…) and the auth token stand on the first page of console.twilio.com.",
        "Under Messaging → Services, create a messaging service and give it a phone number to send from.",
        "Its SID (MG…) stands in its settings.",
      ],
    },
  },
  {
    key: "pagerduty_notification",
    type: "PagerDutyNotificationAction",
    name: "PagerDuty",
    does: "Trigger an alert",
    icon: "alarm",
    phrase: (name) => (name ? `page ${name} by PagerDuty` : "page PagerDuty"),
    fields: [
      { name: "routing_key", label: "Integration key", kind: "text", required: true, placeholder: "32 letters and digits" },
      {
        name: "severity",
        label: "Severity",
        kind: "choice",
        required: true,
        choices: ["critical", "error", "warning", "info"],
      },
      MESSAGE,
    ],
    help: {
      title: "Where do I get an integration key?",
      steps: [
        "In PagerDuty, open Services and the service that is to be paged.",
        "Choose Integrations, then “Add an integration”, and pick “Events API V2”.",
        "Copy its Integration Key and paste it here.",
      ],
    },
  },
  {
    key: "webhook",
    type: "WebhookAction",
    name: "Webhook",
    does: "POST JSON to an address",
    icon: "globe",
    phrase: (name, config) => `call ${name ?? receiver(config["url"]) ?? "a webhook"}`,
    fields: [
      { name: "url", label: "URL", kind: "text", placeholder: "https://example.com/runs", hint: `${ECHO_URL} is an echo that is built in, to try things out.` },
      {
        name: "payload",
        label: "Body",
        kind: "json",
        placeholder: '{"run": "{flow_run_name}", "state": "{state}"}',
        hint: "JSON, with {attributes}. Empty: all of the event.",
      },
      { name: "headers", label: "Headers", kind: "json", placeholder: '{"x-team": "data"}', more: true },
      { name: "url_secret", label: "URL as a secret", kind: "secret", secret: "WEBHOOK_URL", hint: "In place of the URL.", more: true },
      {
        name: "signing_secret",
        label: "Signing secret",
        kind: "secret",
        secret: "SIGNING",
        placeholder: "whsec_…",
        hint: "Standard Webhooks: whsec_ and base64 of 24 to 64 bytes.",
        more: true,
      },
    ],
  },
  {
    key: "cancel_flow_run",
    type: "CancelFlowRunAction",
    name: "Cancel the run",
    does: "Stop the run that it is about",
    icon: "stop",
    phrase: () => "cancel the run",
    needsRun: true,
    fields: [{ name: "message", label: "Message of its last state", kind: "message" }],
  },
  {
    key: "pause_schedule",
    type: "PauseScheduleAction",
    name: "Pause the schedule",
    does: "No more runs by themselves",
    icon: "pause",
    phrase: (_name, config) => (config["flow_group_id"] ? "pause a flow’s schedule" : "pause its schedule"),
    fields: [{ name: "flow_group_id", label: "Flow", kind: "flow", hint: "The flow that it happened to, unless you choose one." }],
  },
  {
    key: "create_flow_run",
    type: "CreateFlowRunAction",
    name: "Start a run",
    does: "Of the same flow, or another",
    icon: "play",
    phrase: (_name, config) => (config["flow_group_id"] ? "start a run of another flow" : "start a new run"),
    fields: [
      { name: "flow_group_id", label: "Flow", kind: "flow", hint: "The flow that it happened to, unless you choose one." },
      { name: "run_name", label: "Name of the run", kind: "text", placeholder: "after {flow_run_name}" },
      { name: "parameters", label: "Parameters", kind: "json", placeholder: '{"failed_run": "{flow_run_id}"}' },
    ],
  },
];

const BY_KEY = new Map(ACTION_KINDS.map((kind) => [kind.key, kind]));
const BY_TYPE = new Map(ACTION_KINDS.map((kind) => [kind.type, kind]));

export function kindOfKey(key: string): ActionKind | undefined {
  return BY_KEY.get(key);
}

export function kindOfType(type: string): ActionKind | undefined {
  return BY_TYPE.get(type);
}

const OF_ALL = ["message", "event_name", "timestamp", "tenant_slug", "id"];
const OF_RUNS = [
  "flow_name", "flow_run_name", "state", "state_message", "flow_run_link", "flow_link", "flow_id", "flow_group_id",
  "flow_run_id",
];

export const ATTRIBUTES: Record<string, string[]> = {
  FlowRunStateChangedEvent: [...OF_RUNS, ...OF_ALL],
  FlowSLAFailedEvent: ["kind", "duration_seconds", ...OF_RUNS, "flow_sla_config_id", ...OF_ALL],
  AgentSLAFailedEvent: [
    "unhealthy_agent_ids", "healthy_agent_ids", "agent_ids", "sla_min_healthy", "agent_config_id", ...OF_ALL,
  ],
  ServerProblemEvent: ["problem", "problem_message", "affected", "since", ...OF_ALL],
};

/** Whether events of this type are about a run. */
export function hasRun(eventType: string): boolean {
  return ATTRIBUTES[eventType]?.includes("flow_run_id") ?? false;
}

/** What can be wrong with the server, and how people read it. */
export const PROBLEMS: Record<string, string> = {
  EVALUATION_LATE: "evaluation is late",
  DELIVERIES_LATE: "deliveries are late",
  TIMERS_LATE: "timers are late",
  DESTINATION_FAILS: "a destination fails",
  ACTION_PAUSED: "an action is paused",
  SECRET_MISSING: "a secret is missing",
};

export const STATES = [
  "Scheduled", "Pending", "Submitted", "Queued", "Running", "Paused", "Resume", "Retrying", "Success", "Cached",
  "Mapped", "Skipped", "Failed", "TimedOut", "TriggerFailed", "ValidationFailed", "ClientFailed", "Cancelling",
  "Cancelled", "Looped", "Finished",
];
