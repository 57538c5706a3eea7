import { AGENT_CONFIGS, FLOWS_OF_GROUPS } from "../api/documents";
import { useLive } from "../api/live";
import type { AgentConfigRow, AutomationRow, FlowRow } from "../api/rows";
import type { Names } from "../builder/draft";

/** The names of the flows and agent configs that these automations watch; undefined until they are known. */
export function useNames(rows: AutomationRow[] | undefined): Names | undefined {
  const ids = [...new Set((rows ?? []).flatMap((row) => row.event.flow_group_ids ?? []))].sort();
  const watchesAgents = Boolean(rows?.some((row) => row.event.agent_config_ids?.length));
  const flows = useLive<{ flow: FlowRow[] }>(ids.length ? FLOWS_OF_GROUPS : null, { ids });
  const configs = useLive<{ agent_config: AgentConfigRow[] }>(watchesAgents ? AGENT_CONFIGS : null);
  const waits = (ids.length && !flows.data && !flows.error) || (watchesAgents && !configs.data && !configs.error);
  if (!rows || waits) return undefined;
  const names = new Map<string, string>();
  for (const flow of flows.data?.flow ?? []) names.set(flow.flow_group_id, flow.name);
  for (const config of configs.data?.agent_config ?? []) names.set(config.id, config.name ?? `config ${config.id.slice(0, 8)}`);
  return names;
}
