-- The tables of a Prefect Server (0.15) as far as anybody here looks at them, with what its triggers do. Differs from
-- ours in what matters: tenants may be left out, texts are varchar, lines of the log have no stamps, triggers fire for
-- each row, and there are no indexes, columns or defaults of ours.

CREATE TABLE tenant (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    name varchar(255) NOT NULL,
    slug varchar(255) NOT NULL UNIQUE,
    info jsonb,
    settings jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE project (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    name varchar NOT NULL,
    description varchar,
    UNIQUE (tenant_id, name)
);
CREATE INDEX ix_project_tenant_id ON project (tenant_id);

CREATE TABLE flow_group (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    name varchar,
    labels jsonb,
    schedule jsonb,
    settings jsonb NOT NULL DEFAULT '{}',
    default_parameters jsonb NOT NULL DEFAULT '{}',
    run_config jsonb,
    description varchar
);

CREATE TABLE flow (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    version integer,
    name varchar NOT NULL,
    description varchar,
    environment jsonb,
    parameters jsonb DEFAULT '{}',
    project_id uuid REFERENCES project ON DELETE CASCADE,
    archived boolean NOT NULL DEFAULT false,
    version_group_id varchar,
    storage jsonb,
    core_version varchar,
    settings jsonb NOT NULL DEFAULT '{}',
    serialized_flow jsonb,
    schedule jsonb,
    is_schedule_active boolean NOT NULL DEFAULT false,
    flow_group_id uuid NOT NULL REFERENCES flow_group ON DELETE CASCADE,
    run_config jsonb,
    serialized_hash varchar
);
CREATE INDEX ix_flow_tenant_id ON flow (tenant_id);
CREATE INDEX ix_flow_flow_group_id ON flow (flow_group_id);

CREATE TABLE task (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    flow_id uuid NOT NULL REFERENCES flow ON DELETE CASCADE,
    name varchar,
    slug varchar,
    description varchar,
    type varchar,
    max_retries integer,
    retry_delay interval,
    trigger varchar,
    mapped boolean NOT NULL DEFAULT false,
    auto_generated boolean NOT NULL DEFAULT false,
    cache_key varchar,
    is_root_task boolean NOT NULL DEFAULT false,
    is_terminal_task boolean NOT NULL DEFAULT false,
    is_reference_task boolean NOT NULL DEFAULT false,
    tags jsonb NOT NULL DEFAULT '[]',
    UNIQUE (flow_id, slug)
);

CREATE TABLE edge (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    flow_id uuid NOT NULL REFERENCES flow ON DELETE CASCADE,
    upstream_task_id uuid NOT NULL REFERENCES task ON DELETE CASCADE,
    downstream_task_id uuid NOT NULL REFERENCES task ON DELETE CASCADE,
    key varchar,
    mapped boolean NOT NULL DEFAULT false
);

CREATE TABLE agent_config (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    name varchar,
    settings jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE agent (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    agent_config_id uuid REFERENCES agent_config ON DELETE SET NULL,
    name varchar,
    type varchar,
    core_version varchar,
    labels jsonb NOT NULL DEFAULT '[]',
    last_queried timestamptz DEFAULT now()
);

CREATE TABLE flow_run (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    flow_id uuid NOT NULL REFERENCES flow ON DELETE CASCADE,
    parameters jsonb DEFAULT '{}',
    scheduled_start_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    auto_scheduled boolean NOT NULL DEFAULT false,
    heartbeat timestamptz,
    start_time timestamptz,
    end_time timestamptz,
    version integer NOT NULL DEFAULT 0,
    state varchar,
    state_timestamp timestamptz,
    state_message varchar,
    state_result jsonb,
    state_start_time timestamptz,
    serialized_state jsonb,
    name varchar,
    context jsonb,
    times_resurrected integer DEFAULT 0,
    idempotency_key varchar,
    agent_id uuid REFERENCES agent ON DELETE SET NULL,
    labels jsonb NOT NULL DEFAULT '[]',
    run_config jsonb
);
CREATE INDEX ix_flow_run_tenant_id ON flow_run (tenant_id);
CREATE INDEX ix_flow_run_flow_id ON flow_run (flow_id);
CREATE INDEX ix_flow_run_state ON flow_run (state);
CREATE INDEX ix_flow_run_scheduled_start_time ON flow_run (scheduled_start_time);
CREATE UNIQUE INDEX ix_flow_run_idempotency_key_unique ON flow_run (flow_id, idempotency_key);

CREATE TABLE flow_run_state (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES tenant ON DELETE CASCADE,
    flow_run_id uuid NOT NULL REFERENCES flow_run ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    timestamp timestamptz NOT NULL DEFAULT clock_timestamp(),
    state varchar NOT NULL,
    message varchar,
    result jsonb,
    start_time timestamptz,
    serialized_state jsonb NOT NULL,
    version integer DEFAULT 0
);
CREATE INDEX ix_flow_run_state_flow_run_id ON flow_run_state (flow_run_id);
CREATE INDEX ix_flow_run_state_state ON flow_run_state (state);
CREATE INDEX ix_flow_run_state_timestamp ON flow_run_state (timestamp);
CREATE INDEX ix_flow_run_state_updated ON flow_run_state (updated);

CREATE TABLE task_run (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    flow_run_id uuid NOT NULL REFERENCES flow_run ON DELETE CASCADE,
    task_id uuid NOT NULL REFERENCES task ON DELETE CASCADE,
    map_index integer NOT NULL DEFAULT -1,
    version integer NOT NULL DEFAULT 0,
    heartbeat timestamptz,
    start_time timestamptz,
    end_time timestamptz,
    state varchar,
    state_timestamp timestamptz,
    state_message varchar,
    state_result jsonb,
    state_start_time timestamptz,
    serialized_state jsonb,
    cache_key varchar,
    name varchar,
    run_count integer NOT NULL DEFAULT 0,
    CONSTRAINT task_run_unique_identifier_key UNIQUE (flow_run_id, task_id, map_index)
);

CREATE TABLE task_run_state (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES tenant ON DELETE CASCADE,
    task_run_id uuid NOT NULL REFERENCES task_run ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    timestamp timestamptz NOT NULL DEFAULT clock_timestamp(),
    state varchar NOT NULL,
    message varchar,
    result jsonb,
    start_time timestamptz,
    serialized_state jsonb NOT NULL,
    version integer DEFAULT 0
);

CREATE TABLE log (
    id uuid DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES tenant ON DELETE CASCADE,
    flow_run_id uuid REFERENCES flow_run ON DELETE CASCADE,
    task_run_id uuid REFERENCES task_run ON DELETE CASCADE,
    timestamp timestamptz NOT NULL DEFAULT now(),
    name varchar,
    level varchar,
    message varchar,
    info jsonb,
    is_loaded_from_archive boolean
);
CREATE INDEX ix_log_flow_run_id ON log (flow_run_id);

-- Tables of theirs that nobody here knows are none of our business.
CREATE TABLE message (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id uuid, content jsonb);

CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated := now();
    RETURN NEW;
END
$$;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tenant', 'project', 'flow_group', 'flow', 'task', 'edge', 'agent_config', 'agent',
        'flow_run', 'flow_run_state', 'task_run', 'task_run_state']
    LOOP
        EXECUTE format('CREATE TRIGGER stamp BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION stamp()', name);
    END LOOP;
END
$$;

-- Each task of the flow has a run, Pending, as soon as the flow's run is there.
CREATE FUNCTION add_task_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH made AS (
        INSERT INTO task_run (tenant_id, flow_run_id, task_id, cache_key)
        SELECT NEW.tenant_id, NEW.id, task.id, task.cache_key FROM task WHERE task.flow_id = NEW.flow_id
        RETURNING id
    )
    INSERT INTO task_run_state (tenant_id, task_run_id, state, message, serialized_state)
    SELECT NEW.tenant_id, made.id, 'Pending', 'Task run created', '{"type": "Pending"}' FROM made;
    RETURN NEW;
END
$$;
CREATE TRIGGER add_task_runs AFTER INSERT ON flow_run FOR EACH ROW EXECUTE FUNCTION add_task_runs();

-- A run takes on a state that is not older than its version.
CREATE FUNCTION show_flow_run_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE flow_run
    SET version = NEW.version, state = NEW.state, state_message = NEW.message, state_result = NEW.result,
        state_timestamp = NEW.timestamp, state_start_time = NEW.start_time, serialized_state = NEW.serialized_state,
        start_time = CASE WHEN NEW.state = 'Running' THEN least(start_time, NEW.timestamp) ELSE start_time END,
        end_time = CASE
            WHEN NEW.state IN ('Success', 'Failed', 'Cached', 'TimedOut', 'Looped', 'Cancelled')
                THEN greatest(end_time, NEW.timestamp)
            ELSE end_time
        END
    WHERE id = NEW.flow_run_id AND NEW.version >= version;
    RETURN NEW;
END
$$;
CREATE TRIGGER show_flow_run_state AFTER INSERT ON flow_run_state FOR EACH ROW EXECUTE FUNCTION show_flow_run_state();

CREATE FUNCTION show_task_run_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE task_run
    SET version = NEW.version, state = NEW.state, state_message = NEW.message, state_result = NEW.result,
        state_timestamp = NEW.timestamp, state_start_time = NEW.start_time, serialized_state = NEW.serialized_state
    WHERE id = NEW.task_run_id AND NEW.version >= version;
    RETURN NEW;
END
$$;
CREATE TRIGGER show_task_run_state AFTER INSERT ON task_run_state FOR EACH ROW EXECUTE FUNCTION show_task_run_state();
