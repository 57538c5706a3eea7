-- A flow's graph, what becomes of each task in a run, and what runs log.

CREATE TABLE public.task (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES public.tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    flow_id uuid NOT NULL REFERENCES public.flow ON DELETE CASCADE,
    name text,
    slug text NOT NULL,
    description text,
    type text,
    max_retries integer NOT NULL DEFAULT 0,
    retry_delay interval,
    trigger text,
    tags jsonb NOT NULL DEFAULT '[]',
    mapped boolean NOT NULL DEFAULT false,
    auto_generated boolean NOT NULL DEFAULT false,
    cache_key text,
    is_reference_task boolean NOT NULL DEFAULT false,
    is_root_task boolean NOT NULL DEFAULT false,
    is_terminal_task boolean NOT NULL DEFAULT false,
    UNIQUE (flow_id, slug)
);

CREATE TABLE public.edge (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES public.tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    flow_id uuid NOT NULL REFERENCES public.flow ON DELETE CASCADE,
    upstream_task_id uuid NOT NULL REFERENCES public.task ON DELETE CASCADE,
    downstream_task_id uuid NOT NULL REFERENCES public.task ON DELETE CASCADE,
    key text,
    mapped boolean NOT NULL DEFAULT false
);
-- A registration that is sent again makes no second edge.
CREATE UNIQUE INDEX edge_identity ON public.edge
    (flow_id, upstream_task_id, downstream_task_id, coalesce(key, ''), mapped);
CREATE INDEX edge_upstream ON public.edge (upstream_task_id);
CREATE INDEX edge_downstream ON public.edge (downstream_task_id);

-- map_index is -1 for a task itself and counts the children of a mapped one.
CREATE TABLE public.task_run (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES public.tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    flow_run_id uuid NOT NULL REFERENCES public.flow_run ON DELETE CASCADE,
    task_id uuid NOT NULL REFERENCES public.task ON DELETE CASCADE,
    map_index integer NOT NULL DEFAULT -1,
    name text,
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
    cache_key text,
    UNIQUE (flow_run_id, task_id, map_index)
) WITH (fillfactor = 80);
CREATE INDEX task_run_task ON public.task_run (task_id);
-- What agents ask for: task runs that are to be tried again.
CREATE INDEX task_run_queue ON public.task_run (tenant_id, state_start_time) WHERE state_start_time IS NOT NULL;
-- What tasks with a cache look for.
CREATE INDEX task_run_cached ON public.task_run (tenant_id, cache_key, state_timestamp) WHERE state = 'Cached';

CREATE TABLE public.task_run_state (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES public.tenant ON DELETE CASCADE,
    task_run_id uuid NOT NULL REFERENCES public.task_run ON DELETE CASCADE,
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
CREATE INDEX task_run_state_task_run ON public.task_run_state (task_run_id, version);

CREATE TABLE public.log (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES public.tenant ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    flow_run_id uuid REFERENCES public.flow_run ON DELETE CASCADE,
    task_run_id uuid REFERENCES public.task_run ON DELETE CASCADE,
    timestamp timestamptz NOT NULL DEFAULT now(),
    name text,
    level text,
    message text,
    info jsonb
);
CREATE INDEX log_flow_run ON public.log (flow_run_id, timestamp);
CREATE INDEX log_task_run ON public.log (task_run_id, timestamp);

CREATE TRIGGER set_updated BEFORE UPDATE ON public.task FOR EACH ROW EXECUTE FUNCTION public.set_updated();
CREATE TRIGGER set_updated BEFORE UPDATE ON public.edge FOR EACH ROW EXECUTE FUNCTION public.set_updated();
CREATE TRIGGER set_updated BEFORE UPDATE ON public.task_run FOR EACH ROW EXECUTE FUNCTION public.set_updated();
CREATE TRIGGER set_updated BEFORE UPDATE ON public.task_run_state FOR EACH ROW EXECUTE FUNCTION public.set_updated();
CREATE TRIGGER set_updated BEFORE UPDATE ON public.log FOR EACH ROW EXECUTE FUNCTION public.set_updated();

-- Task runs exist as soon as their flow run does, and are Pending.
CREATE FUNCTION public.create_task_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH made AS (
        INSERT INTO public.task_run (tenant_id, flow_run_id, task_id, cache_key)
        SELECT added.tenant_id, added.id, task.id, task.cache_key
        FROM added
        JOIN public.task ON task.flow_id = added.flow_id
        RETURNING tenant_id, id
    )
    INSERT INTO public.task_run_state (tenant_id, task_run_id, version, state, message, serialized_state)
    SELECT tenant_id, id, 0, 'Pending', 'Task run created', '{"type": "Pending", "message": "Task run created"}'
    FROM made;
    RETURN NULL;
END
$$;

CREATE TRIGGER create_task_runs AFTER INSERT ON public.flow_run
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.create_task_runs();

-- As for flow runs: a task run shows its newest state.
CREATE FUNCTION public.copy_state_to_task_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.task_run AS run
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
        SELECT DISTINCT ON (added.task_run_id)
            added.*,
            max(added.timestamp) FILTER (WHERE added.state = 'Running') OVER history AS running_at,
            max(added.timestamp) FILTER (
                WHERE added.state IN ('Success', 'Failed', 'Cached', 'TimedOut', 'Looped', 'Cancelled')
            ) OVER history AS finished_at
        FROM added
        WINDOW history AS (PARTITION BY added.task_run_id)
        ORDER BY added.task_run_id, added.version DESC NULLS LAST, added.timestamp DESC
    ) AS newest
    WHERE run.id = newest.task_run_id AND newest.version >= run.version;
    RETURN NULL;
END
$$;

CREATE TRIGGER copy_state_to_task_run AFTER INSERT ON public.task_run_state
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.copy_state_to_task_run();
