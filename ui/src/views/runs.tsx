import { mayEdit } from "../api/caller";
import { AGENT_CONFIGS, RUN_BY_ID, RUNS } from "../api/documents";
import { useLive } from "../api/live";
import type { AgentConfigRow, AgentRow, DeliveryRow, RunRow } from "../api/rows";
import { Icon } from "../parts/icon";
import { Empty, Loading, Page, Problem } from "../parts/page";
import { StateBadge } from "../parts/status";
import { Time } from "../parts/time";
import { filter, link, parameters } from "../route";
import { counted } from "../words";
import { DeliveryList } from "./activity";
import { SampleButton } from "./sample";

const HEALTHY_MS = 60_000;
/** Nothing tells of agents: they are asked for. */
const AGENTS_MS = 5000;

type RunInList = RunRow & { firings_aggregate: { aggregate: { count: number } } };

export function RunsView() {
  const flow = parameters.value.get("flow") ?? "";
  const where = flow ? { flow: { name: { _ilike: `%${flow}%` } } } : {};
  const { data, error } = useLive<{ flow_run: RunInList[] }>(RUNS, { where }, { on: ["flow_run_changed"] });
  const agents = useLive<{ agent_config: AgentConfigRow[]; agent: AgentRow[] }>(AGENT_CONFIGS, {}, { everyMs: AGENTS_MS });
  const hasAgents = Boolean(agents.data?.agent_config.length || agents.data?.agent.length);
  return (
    <Page title="Runs and agents">
      <Problem text={error ?? agents.error} />
      <div class="filters" role="search">
        <label class="search">
          <Icon name="search" />
          <input type="search" aria-label="Flow" placeholder="Flow" value={flow} onInput={(event) => filter({ flow: event.currentTarget.value })} />
        </label>
      </div>
      <h2>Recent runs</h2>
      {!data && !error && <Loading />}
      <ul class="rows">
        {data?.flow_run.map((run) => (
          <li key={run.id}>
            <a href={link(`runs/${run.id}`)}>
              <StateBadge state={run.state} />
              <span class="what">
                <b>
                  {run.flow?.name} <small>{run.name}</small>
                </b>
                {run.state_message && <small class="why">{run.state_message}</small>}
              </span>
              {run.firings_aggregate.aggregate.count > 0 && (
                <span class="fired" title="What fired because of it">
                  <Icon name="bolt" />
                  {run.firings_aggregate.aggregate.count}
                  <span class="hidden"> fired</span>
                </span>
              )}
              <Time at={run.state_timestamp ?? run.scheduled_start_time} />
            </a>
          </li>
        ))}
      </ul>
      {data && !data.flow_run.length && (
        <Empty>
          <p>{flow ? "No flow’s name has that in it." : "No run yet. They appear here as soon as Prefect reports one."}</p>
          {!flow && mayEdit.value && <SampleButton />}
        </Empty>
      )}
      <h2>Agents</h2>
      {agents.data && !hasAgents && (
        <Empty>
          <p>No agent has asked for work yet.</p>
        </Empty>
      )}
      <div class="grid">
        {agents.data?.agent_config.map((config) => (
          <AgentGroup key={config.id} name={config.name ?? `Config ${config.id.slice(0, 8)}`} agents={config.agents} />
        ))}
        {Boolean(agents.data?.agent.length) && <AgentGroup name="Without an agent config" agents={agents.data?.agent ?? []} />}
      </div>
    </Page>
  );
}

function AgentGroup({ name, agents }: { name: string; agents: AgentRow[] }) {
  return (
    <section class="card">
      <h3>{name}</h3>
      {!agents.length && <p class="quiet">No agent was started with it yet.</p>}
      <ul class="agents">
        {agents.map((agent) => {
          const isHealthy = agent.last_queried !== null && Date.now() - Date.parse(agent.last_queried) < HEALTHY_MS;
          return (
            <li key={agent.id}>
              <i class={isHealthy ? "dot good" : "dot bad"} />
              <span class="what">
                <b>{agent.name ?? agent.type ?? "agent"}</b>
                <small>{[agent.type, ...agent.labels].filter(Boolean).join(" · ")}</small>
              </span>
              <small>
                {!agent.last_queried && "has not asked for work yet"}
                {agent.last_queried && (isHealthy ? "asked for work " : "quiet: last word ")}
                {agent.last_queried && <Time at={agent.last_queried} />}
              </small>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

interface RunDetail extends RunRow {
  states: { id: string; state: string; message: string | null; timestamp: string }[];
  firings: { id: string; created: string; automation: { id: string; name: string; deleted_at: string | null } | null; deliveries: DeliveryRow[] }[];
}

export function RunView({ id }: { id: string }) {
  const { data, error } = useLive<{ flow_run_by_pk: RunDetail | null }>(RUN_BY_ID, { id }, { on: ["flow_run_changed", "delivery_changed"] });
  const run = data?.flow_run_by_pk;
  return (
    <Page
      title={run ? `${run.flow?.name ?? "Run"} · ${run.name ?? ""}` : "Run"}
      from={{ name: "Runs and agents", to: "#/runs" }}
      tools={run && <StateBadge state={run.state} />}
    >
      <Problem text={error ?? (run === null ? "There is no such run." : undefined)} />
      {!data && !error && <Loading />}
      {run && (
        <>
          <h2>What was sent because of it</h2>
          {!run.firings.length && <p class="quiet">Nothing: no automation fired.</p>}
          {run.firings.map((firing) => (
            <section key={firing.id} class="card">
              <h3>
                {firing.automation?.name ?? "Tried out by hand"}{" "}
                <small>
                  <Time at={firing.created} />, {counted(firing.deliveries.length, "delivery").replace("deliverys", "deliveries")}
                </small>
              </h3>
              <DeliveryList rows={firing.deliveries} />
            </section>
          ))}
          <h2>Its states</h2>
          <ol class="timeline">
            {run.states.map((state) => (
              <li key={state.id}>
                <StateBadge state={state.state} />
                <span class="what">{state.message}</span>
                <Time at={state.timestamp} />
              </li>
            ))}
          </ol>
        </>
      )}
    </Page>
  );
}
