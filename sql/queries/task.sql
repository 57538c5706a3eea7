-- name: lock_flow$
-- A flow's graph is registered in batches, one at a time.
SELECT id FROM public.flow WHERE tenant_id = :tenant_id AND id = :flow_id FOR NO KEY UPDATE;

-- name: register_tasks!
-- Tasks as clients serialize them; a batch that is sent again changes nothing.
INSERT INTO public.task (
    tenant_id, flow_id, slug, name, description, type, max_retries, retry_delay, trigger, tags, auto_generated, cache_key
)
SELECT :tenant_id, :flow_id, slug, name, description, type, coalesce(max_retries, 0),
    make_interval(secs => retry_delay), trigger ->> 'fn', coalesce(tags, '[]'), coalesce(auto_generated, false), cache_key
FROM jsonb_to_recordset(CAST(:tasks AS jsonb)) AS given (
    slug text, name text, description text, type text, max_retries integer, retry_delay double precision, trigger jsonb,
    tags jsonb, auto_generated boolean, cache_key text
)
ON CONFLICT (flow_id, slug) DO NOTHING;

-- name: register_edges
-- Edges name tasks by their slugs. The answer is those that no task has.
WITH given AS MATERIALIZED (
    SELECT upstream_task ->> 'slug' AS upstream, downstream_task ->> 'slug' AS downstream, key,
        coalesce(mapped, false) AS mapped
    FROM jsonb_to_recordset(CAST(:edges AS jsonb)) AS edge (
        upstream_task jsonb, downstream_task jsonb, key text, mapped boolean
    )
), made AS (
    INSERT INTO public.edge (tenant_id, flow_id, upstream_task_id, downstream_task_id, key, mapped)
    SELECT :tenant_id, :flow_id, upstream_task.id, downstream_task.id, given.key, given.mapped
    FROM given
    JOIN public.task AS upstream_task ON upstream_task.flow_id = :flow_id AND upstream_task.slug = given.upstream
    JOIN public.task AS downstream_task ON downstream_task.flow_id = :flow_id AND downstream_task.slug = given.downstream
    ON CONFLICT DO NOTHING
)
SELECT slug FROM (SELECT upstream FROM given UNION SELECT downstream FROM given) AS named (slug)
WHERE NOT EXISTS (SELECT FROM public.task WHERE flow_id = :flow_id AND task.slug = named.slug)
LIMIT 10;

-- name: place_tasks!
-- What a task is to its graph: mapped, first, last, and whether its state decides the run's. Where the flow names no
-- reference tasks, those are the last ones.
WITH place AS (
    SELECT task.id, task.slug,
        EXISTS (SELECT FROM public.edge WHERE downstream_task_id = task.id AND mapped) AS mapped,
        NOT EXISTS (SELECT FROM public.edge WHERE downstream_task_id = task.id) AS is_root_task,
        NOT EXISTS (SELECT FROM public.edge WHERE upstream_task_id = task.id) AS is_terminal_task
    FROM public.task
    WHERE task.flow_id = :flow_id
), reference AS (
    SELECT named.slug #>> '{}' AS slug
    FROM public.flow, jsonb_path_query(flow.serialized_flow, '$.reference_tasks[*].slug') AS named (slug)
    WHERE flow.id = :flow_id
), placed AS (
    SELECT place.*, CASE
        WHEN EXISTS (SELECT FROM reference) THEN slug IN (SELECT slug FROM reference)
        ELSE is_terminal_task
    END AS is_reference_task
    FROM place
)
UPDATE public.task SET mapped = placed.mapped, is_root_task = placed.is_root_task,
    is_terminal_task = placed.is_terminal_task, is_reference_task = placed.is_reference_task
FROM placed
WHERE task.id = placed.id
    AND (task.mapped, task.is_root_task, task.is_terminal_task, task.is_reference_task)
        IS DISTINCT FROM (placed.mapped, placed.is_root_task, placed.is_terminal_task, placed.is_reference_task);

-- name: get_or_create_task_run^
-- The run of a task in a flow run; children of mapped tasks are made when they are asked for, and are Pending.
WITH existing AS (
    SELECT task_run.id, task_run.version, task_run.state, CAST(task_run.serialized_state AS text) AS serialized_state
    FROM public.task_run
    WHERE tenant_id = :tenant_id AND flow_run_id = :flow_run_id AND task_id = :task_id AND map_index = :map_index
), made AS (
    INSERT INTO public.task_run (tenant_id, flow_run_id, task_id, map_index, cache_key)
    SELECT flow_run.tenant_id, flow_run.id, task.id, :map_index, task.cache_key
    FROM public.flow_run
    JOIN public.task ON task.flow_id = flow_run.flow_id
    WHERE flow_run.tenant_id = :tenant_id AND flow_run.id = :flow_run_id AND task.id = :task_id
        AND NOT EXISTS (SELECT FROM existing)
    ON CONFLICT (flow_run_id, task_id, map_index) DO NOTHING
    RETURNING id, tenant_id
), first_state AS (
    INSERT INTO public.task_run_state (tenant_id, task_run_id, version, state, message, serialized_state)
    SELECT tenant_id, id, 0, 'Pending', 'Task run created', '{"type": "Pending", "message": "Task run created"}' FROM made
    RETURNING task_run_id, version, state, CAST(serialized_state AS text) AS serialized_state
)
SELECT id, version, state, serialized_state FROM existing
UNION ALL
SELECT task_run_id, version, state, serialized_state FROM first_state;

-- name: task_run_info^
SELECT id, version, state, CAST(serialized_state AS text) AS serialized_state
FROM public.task_run WHERE tenant_id = :tenant_id AND id = :task_run_id;

-- name: set_task_run_states
-- As for flow runs: all or nothing. A task run is Running in a flow run that is running, and in no other: the process of
-- a run that was given up or cancelled meanwhile begins nothing more.
WITH given AS (
    SELECT new.*, row_number() OVER earlier_first AS step, lag(new.state) OVER earlier_first AS earlier_state
    FROM unnest(
        CAST(:run_ids AS uuid[]), CAST(:versions AS integer[]), CAST(:states AS text[]), CAST(:messages AS text[]),
        CAST(:results AS jsonb[]), CAST(:start_times AS timestamptz[]), CAST(:serialized_states AS jsonb[])
    ) WITH ORDINALITY AS new (run_id, expected, state, message, result, start_time, serialized_state, place)
    WINDOW earlier_first AS (PARTITION BY new.run_id ORDER BY new.place)
), run AS (
    SELECT id, version, state, flow_run_id FROM public.task_run
    WHERE tenant_id = :tenant_id AND id = ANY(CAST(:run_ids AS uuid[]))
    ORDER BY id
    FOR NO KEY UPDATE
), judged AS MATERIALIZED (
    SELECT given.*, run.version + given.step AS version, run.version AS run_version,
        CASE
            WHEN run.id IS NULL THEN 'MISSING'
            WHEN given.state = 'Submitted' AND coalesce(given.earlier_state, run.state) IN ('Submitted', 'Running')
                THEN 'SUBMITTED'
            WHEN given.expected <> run.version + given.step - 1 THEN 'STALE'
            WHEN given.state = 'Running' AND flow_run.state NOT IN ('Running', 'Cancelling') THEN 'NOT_RUNNING'
        END AS problem
    FROM given
    LEFT JOIN run ON run.id = given.run_id
    LEFT JOIN public.flow_run ON flow_run.id = run.flow_run_id
), written AS (
    INSERT INTO public.task_run_state
        (tenant_id, task_run_id, version, state, message, result, start_time, serialized_state)
    SELECT :tenant_id, run_id, version, state, message, result, start_time, serialized_state
    FROM judged
    WHERE NOT EXISTS (SELECT FROM judged AS refused WHERE refused.problem IS NOT NULL)
    ORDER BY place
)
SELECT run_id, problem, expected, run_version FROM judged WHERE problem IS NOT NULL ORDER BY place;

-- name: set_task_run_name$
UPDATE public.task_run SET name = :name WHERE tenant_id = :tenant_id AND id = :task_run_id RETURNING true;

-- name: update_task_run_heartbeat$
UPDATE public.task_run SET heartbeat = :now WHERE tenant_id = :tenant_id AND id = :task_run_id RETURNING true;

-- name: write_logs$
-- How many of the lines were written: those of runs that are gone have no place any more. A line of a task run alone
-- belongs to its flow run as well.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(
        CAST(:flow_run_ids AS uuid[]), CAST(:task_run_ids AS uuid[]), CAST(:timestamps AS timestamptz[]),
        CAST(:names AS text[]), CAST(:levels AS text[]), CAST(:messages AS text[]), CAST(:infos AS jsonb[])
    ) AS new (flow_run_id, task_run_id, timestamp, name, level, message, info)
), written AS (
    INSERT INTO public.log (tenant_id, flow_run_id, task_run_id, timestamp, name, level, message, info)
    SELECT :tenant_id, flow_run.id, task_run.id, given.timestamp, given.name, given.level, given.message, given.info
    FROM given
    LEFT JOIN public.task_run ON task_run.id = given.task_run_id AND task_run.tenant_id = :tenant_id
    JOIN public.flow_run
        ON flow_run.id = coalesce(given.flow_run_id, task_run.flow_run_id) AND flow_run.tenant_id = :tenant_id
    RETURNING id
)
SELECT count(*) FROM written;
