/** Rows as the API answers them: only the fields that the page asks for. */

export type StateGroup = "FAILED" | "SUCCESS" | "FINISHED" | "ALL";
export type Status = "PENDING" | "SENDING" | "DELIVERED" | "FAILED" | "SUPPRESSED";
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type Config = { [name: string]: Json };

export interface ActionRow {
  id: string;
  name: string | null;
  action_type: string;
  action_config: Config;
  inline: boolean;
  problems: string[];
  paused_reason: string | null;
}

export interface EventRow {
  states?: string[];
  state_group?: StateGroup;
  flow_group_ids?: string[];
  project_ids?: string[];
  kind?: "SCHEDULED_NOT_STARTED" | "STARTED_NOT_FINISHED";
  duration_seconds?: number;
  flow_sla_config_ids?: string[];
  agent_config_ids?: string[];
  min_healthy?: number;
  unhealthy_after_seconds?: number;
  problems?: string[];
}

export interface AutomationRow {
  id: string;
  name: string;
  description: string | null;
  enabled: boolean;
  event_type: string;
  event: EventRow;
  actions: ActionRow[];
  firings: { id: string; created: string }[];
  deliveries: { id: string; status: Status; created: string; attempt_count: number }[];
}

export interface FlowRow {
  id: string;
  name: string;
  flow_group_id: string;
  project: { name: string } | null;
}

export interface AttemptRow {
  id: string;
  number: number;
  started_at: string;
  finished_at: string | null;
  outcome: string;
  status_code: number | null;
  reason: string | null;
  request: Json;
  answer: string | null;
}

export interface RunRow {
  id: string;
  name: string | null;
  state: string | null;
  state_message: string | null;
  state_timestamp: string | null;
  scheduled_start_time: string;
  flow: { name: string } | null;
}

export interface DeliveryRow {
  id: string;
  created: string;
  status: Status;
  action_type: string;
  destination: string;
  target: string | null;
  attempt_count: number;
  due_at: string | null;
  finished_at: string | null;
  status_code: number | null;
  reason: string | null;
  waits_for: string | null;
  is_test: boolean;
  redelivery_of: string | null;
  automation: { id: string; name: string; deleted_at: string | null } | null;
  action: { id: string; name: string | null } | null;
  firing: {
    id: string;
    event_type: string;
    event: Config;
    flow_run: { id: string; name: string | null; flow: { name: string } | null } | null;
  } | null;
  attempts: AttemptRow[];
}

export interface CallerRow {
  name: string;
  role: "admin" | "editor" | "viewer" | "agent";
  tenant_id: string;
  tenants: { id: string; name: string }[];
}

export interface AgentRow {
  id: string;
  name: string | null;
  type: string | null;
  labels: string[];
  last_queried: string | null;
}

export interface AgentConfigRow {
  id: string;
  name: string | null;
  agents: AgentRow[];
}
