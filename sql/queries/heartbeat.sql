-- name: end_silent_runs
-- Runs at work whose process spoke once they were Running, and then no more, end: as Failed, or as Cancelled where they
-- were to stop anyway; and so do their tasks at work. Runs that are just being written are left for the next look.
WITH silent AS MATERIALIZED (
    SELECT flow_run.id, flow_run.tenant_id, flow_run.version,
        CASE flow_run.state WHEN 'Running' THEN 'Failed' ELSE 'Cancelled' END AS state
    FROM public.flow_run
    JOIN public.flow ON flow.id = flow_run.flow_id
    WHERE flow_run.state IN ('Running', 'Cancelling')
        AND flow_run.heartbeat > flow_run.start_time AND flow_run.heartbeat < :silent_since
        AND flow.settings ->> 'heartbeat_enabled' IS DISTINCT FROM 'false'
    ORDER BY flow_run.id
    LIMIT 1000
    FOR NO KEY UPDATE OF flow_run SKIP LOCKED
), ended AS (
    INSERT INTO public.flow_run_state (tenant_id, flow_run_id, version, state, message, serialized_state)
    SELECT tenant_id, id, version + 1, state, :message,
        jsonb_build_object('type', state, 'message', CAST(:message AS text))
    FROM silent
), tasks_ended AS (
    INSERT INTO public.task_run_state (tenant_id, task_run_id, version, state, message, serialized_state)
    SELECT task_run.tenant_id, task_run.id, task_run.version + 1, silent.state, :message,
        jsonb_build_object('type', silent.state, 'message', CAST(:message AS text))
    FROM silent JOIN public.task_run ON task_run.flow_run_id = silent.id
    WHERE task_run.state = 'Running'
)
SELECT id FROM silent;
