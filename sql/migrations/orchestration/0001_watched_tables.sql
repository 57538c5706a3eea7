-- The watched side, with the table and column names of Prefect Server. Applied only where these tables are absent.

CREATE TABLE public.tenant (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    name text NOT NULL,
    slug text NOT NULL UNIQUE,
    info jsonb NOT NULL DEFAULT '{}',
    settings jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE public.project (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES public.tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    name text NOT NULL,
    description text,
    UNIQUE (tenant_id, name)
);

CREATE TABLE public.flow_group (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES public.tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    name text,
    labels jsonb,
    schedule jsonb,
    settings jsonb NOT NULL DEFAULT '{}',
    default_parameters jsonb NOT NULL DEFAULT '{}',
    run_config jsonb,
    description text,
    UNIQUE (tenant_id, name)
);

CREATE TABLE public.flow (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES public.tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    version integer NOT NULL DEFAULT 1,
    name text NOT NULL,
    description text,
    environment jsonb,
    parameters jsonb NOT NULL DEFAULT '[]',
    project_id uuid NOT NULL REFERENCES public.project ON DELETE CASCADE,
    archived boolean NOT NULL DEFAULT false,
    version_group_id text,
    storage jsonb,
    core_version text,
    settings jsonb NOT NULL DEFAULT '{}',
    serialized_flow jsonb,
    schedule jsonb,
    is_schedule_active boolean NOT NULL DEFAULT false,
    flow_group_id uuid NOT NULL REFERENCES public.flow_group ON DELETE CASCADE,
    run_config jsonb
);
CREATE INDEX flow_tenant_name ON public.flow (tenant_id, name);
CREATE INDEX flow_project ON public.flow (project_id);
CREATE INDEX flow_flow_group ON public.flow (flow_group_id);
-- Registering takes the next version of a version group: one version each, whoever races.
CREATE UNIQUE INDEX flow_version ON public.flow (tenant_id, version_group_id, version);

CREATE TABLE public.agent_config (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES public.tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    name text,
    settings jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX agent_config_tenant ON public.agent_config (tenant_id);

-- Heartbeats rewrite last_queried all day: half-filled pages and no index on it keep those updates inside their page.
CREATE TABLE public.agent (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES public.tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    agent_config_id uuid REFERENCES public.agent_config ON DELETE SET NULL,
    name text,
    type text,
    core_version text,
    labels jsonb NOT NULL DEFAULT '[]',
    last_queried timestamptz
) WITH (fillfactor = 50);
CREATE INDEX agent_tenant ON public.agent (tenant_id);
CREATE INDEX agent_agent_config ON public.agent (agent_config_id);
-- One row for an agent however often it registers (labels are stored sorted).
CREATE UNIQUE INDEX agent_identity
    ON public.agent (tenant_id, coalesce(name, ''), coalesce(type, ''), coalesce(core_version, ''), labels);

-- Every state change updates the run: a little room in each page keeps most of those updates inside it.
CREATE TABLE public.flow_run (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES public.tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    flow_id uuid NOT NULL REFERENCES public.flow ON DELETE CASCADE,
    parameters jsonb NOT NULL DEFAULT '{}',
    scheduled_start_time timestamptz NOT NULL DEFAULT now(),
    auto_scheduled boolean NOT NULL DEFAULT false,
    heartbeat timestamptz,
    start_time timestamptz,
    end_time timestamptz,
    version integer NOT NULL DEFAULT 0,
    state text,
    state_timestamp timestamptz,
    state_message text,
    state_result jsonb,
    state_start_time timestamptz,
    serialized_state jsonb,
    name text,
    context jsonb,
    times_resurrected integer NOT NULL DEFAULT 0,
    idempotency_key text,
    agent_id uuid REFERENCES public.agent ON DELETE SET NULL,
    labels jsonb NOT NULL DEFAULT '[]',
    run_config jsonb,
    UNIQUE (flow_id, idempotency_key)
) WITH (fillfactor = 80);
CREATE INDEX flow_run_tenant_state ON public.flow_run (tenant_id, state, scheduled_start_time DESC);
CREATE INDEX flow_run_tenant_start ON public.flow_run (tenant_id, scheduled_start_time DESC);
CREATE INDEX flow_run_agent ON public.flow_run (agent_id);
-- What an agent asks for every few seconds: the runs that are due, whatever the number of those that are done.
CREATE INDEX flow_run_queue ON public.flow_run (tenant_id, state_start_time) WHERE state = 'Scheduled';

CREATE TABLE public.flow_run_state (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES public.tenant ON DELETE CASCADE,
    flow_run_id uuid NOT NULL REFERENCES public.flow_run ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    timestamp timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL,
    message text,
    result jsonb,
    start_time timestamptz,
    serialized_state jsonb NOT NULL DEFAULT '{}',
    version integer DEFAULT 0
);
CREATE INDEX flow_run_state_flow_run ON public.flow_run_state (flow_run_id, version);

CREATE FUNCTION public.set_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated := now();
    RETURN NEW;
END
$$;

CREATE TRIGGER set_updated BEFORE UPDATE ON public.tenant FOR EACH ROW EXECUTE FUNCTION public.set_updated();
CREATE TRIGGER set_updated BEFORE UPDATE ON public.project FOR EACH ROW EXECUTE FUNCTION public.set_updated();
CREATE TRIGGER set_updated BEFORE UPDATE ON public.flow_group FOR EACH ROW EXECUTE FUNCTION public.set_updated();
CREATE TRIGGER set_updated BEFORE UPDATE ON public.flow FOR EACH ROW EXECUTE FUNCTION public.set_updated();
CREATE TRIGGER set_updated BEFORE UPDATE ON public.agent_config FOR EACH ROW EXECUTE FUNCTION public.set_updated();
CREATE TRIGGER set_updated BEFORE UPDATE ON public.agent FOR EACH ROW EXECUTE FUNCTION public.set_updated();
CREATE TRIGGER set_updated BEFORE UPDATE ON public.flow_run FOR EACH ROW EXECUTE FUNCTION public.set_updated();
CREATE TRIGGER set_updated BEFORE UPDATE ON public.flow_run_state FOR EACH ROW EXECUTE FUNCTION public.set_updated();

-- A run shows its newest state. A state older than the run's version is kept as history only.
-- start_time is set on Running and end_time on a finished state, as Prefect Server does.
CREATE FUNCTION public.copy_state_to_flow_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.flow_run AS run
    SET state = newest.state,
        serialized_state = newest.serialized_state,
        state_message = newest.message,
        state_result = newest.result,
        state_timestamp = newest.timestamp,
        state_start_time = newest.start_time,
        version = newest.version,
        start_time = coalesce(newest.running_at, run.start_time),
        end_time = CASE WHEN newest.finished_at IS NULL THEN run.end_time ELSE newest.finished_at END
    FROM (
        SELECT DISTINCT ON (added.flow_run_id)
            added.*,
            max(added.timestamp) FILTER (WHERE added.state = 'Running') OVER history AS running_at,
            max(added.timestamp) FILTER (
                WHERE added.state IN ('Success', 'Failed', 'Cached', 'TimedOut', 'Looped', 'Cancelled')
            ) OVER history AS finished_at
        FROM added
        WINDOW history AS (PARTITION BY added.flow_run_id)
        ORDER BY added.flow_run_id, added.version DESC NULLS LAST, added.timestamp DESC
    ) AS newest
    WHERE run.id = newest.flow_run_id AND newest.version >= run.version;
    RETURN NULL;
END
$$;

CREATE TRIGGER copy_state_to_flow_run AFTER INSERT ON public.flow_run_state
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.copy_state_to_flow_run();
