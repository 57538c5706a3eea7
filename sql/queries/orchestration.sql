-- name: create_tenant$
INSERT INTO public.tenant (name, slug) VALUES (:name, :slug) RETURNING id;

-- name: first_tenant$
-- With authentication off everybody is this tenant.
SELECT id FROM public.tenant ORDER BY created, id LIMIT 1;

-- name: make_first_tenant!
INSERT INTO public.tenant (name, slug)
SELECT 'default', 'default' WHERE NOT EXISTS (SELECT FROM public.tenant)
ON CONFLICT (slug) DO NOTHING;

-- name: tenant_exists$
SELECT EXISTS (SELECT FROM public.tenant WHERE id = :tenant_id);

-- name: tenant_of_slug$
SELECT id FROM public.tenant WHERE slug = :slug;

-- name: all_tenants
-- For those who may speak for any of them.
SELECT id, name, slug FROM public.tenant ORDER BY lower(name), id LIMIT :most;

-- name: one_tenant
SELECT id, name, slug FROM public.tenant WHERE id = :tenant_id;

-- name: create_project$
INSERT INTO public.project (tenant_id, name, description) VALUES (:tenant_id, :name, :description) RETURNING id;

-- name: delete_project$
DELETE FROM public.project WHERE tenant_id = :tenant_id AND id = :project_id RETURNING true;

-- name: project_exists$
SELECT EXISTS (SELECT FROM public.project WHERE tenant_id = :tenant_id AND id = :project_id);

-- name: known_projects$
-- Which of these ids are projects of the tenant.
SELECT coalesce(array_agg(id), '{}') FROM public.project
WHERE id = ANY(CAST(:ids AS uuid[])) AND coalesce(tenant_id, automations.tenant_of_project(id)) = :tenant_id;

-- name: known_flow_groups$
-- Which of these ids are flow groups of the tenant.
SELECT coalesce(array_agg(id), '{}') FROM public.flow_group
WHERE id = ANY(CAST(:ids AS uuid[])) AND coalesce(tenant_id, automations.tenant_of_flow_group(id)) = :tenant_id;

-- name: known_agent_configs$
-- Which of these ids are agent configs of the tenant.
SELECT coalesce(array_agg(id), '{}') FROM public.agent_config
WHERE tenant_id = :tenant_id AND id = ANY(CAST(:ids AS uuid[]));

-- name: lock_flow_name!
-- Flows of one name in one project find out one at a time which version group they belong to.
SELECT pg_advisory_xact_lock(hashtextextended(CAST(:project_id AS text) || CAST(:name AS text), 1));

-- name: version_group_of_name$
-- The version group of the newest flow of this name in this project.
SELECT version_group_id FROM public.flow
WHERE tenant_id = :tenant_id AND project_id = :project_id AND name = :name
ORDER BY created DESC, version DESC LIMIT 1;

-- name: lock_version_group!
-- Versions of one version group are given one at a time.
SELECT pg_advisory_xact_lock(hashtextextended(CAST(:tenant_id AS text) || CAST(:version_group_id AS text), 0));

-- name: flow_of_idempotency_key^
-- The newest version of the group, if it was registered with this very key.
SELECT newest.id
FROM (
    SELECT id, settings FROM public.flow
    WHERE tenant_id = :tenant_id AND version_group_id = :version_group_id
    ORDER BY version DESC LIMIT 1
) AS newest
WHERE newest.settings ->> 'idempotency_key' = :idempotency_key;

-- name: create_flow$
-- A new version takes the place of the older ones of its version group: those are archived, and their schedules end.
WITH flow_group AS (
    INSERT INTO public.flow_group AS existing (tenant_id, name)
    VALUES (:tenant_id, :version_group_id)
    ON CONFLICT (tenant_id, name) DO UPDATE SET name = existing.name
    RETURNING id
), older AS (
    UPDATE public.flow SET archived = true, is_schedule_active = false
    WHERE tenant_id = :tenant_id AND version_group_id = :version_group_id AND NOT archived
)
INSERT INTO public.flow (
    tenant_id, project_id, flow_group_id, version_group_id, version, name, description, core_version, settings,
    serialized_flow, environment, storage, run_config, parameters, schedule, is_schedule_active
)
SELECT :tenant_id, :project_id, flow_group.id, :version_group_id,
    1 + coalesce((
        SELECT max(version) FROM public.flow WHERE tenant_id = :tenant_id AND version_group_id = :version_group_id
    ), 0),
    :name, :description, :core_version, jsonb_strip_nulls(jsonb_build_object('idempotency_key', CAST(:idempotency_key AS text))),
    :serialized_flow, :environment, :storage, :run_config, :parameters, :schedule, false
FROM flow_group
RETURNING id;

-- name: archive_flow$
UPDATE public.flow SET archived = true, is_schedule_active = false
WHERE tenant_id = :tenant_id AND id = :flow_id
RETURNING true;

-- name: delete_flow$
DELETE FROM public.flow WHERE tenant_id = :tenant_id AND id = :flow_id RETURNING true;

-- name: flow_of_version_group$
SELECT id FROM public.flow
WHERE tenant_id = :tenant_id AND version_group_id = :version_group_id AND NOT archived
ORDER BY version DESC LIMIT 1;

-- name: flow_of_flow_group$
-- The group's newest version; for a run that is asked for again, the version that has it already.
SELECT flow.id
FROM public.flow
LEFT JOIN public.flow_run
    ON flow_run.flow_id = flow.id AND flow_run.idempotency_key = CAST(:idempotency_key AS text)
WHERE flow.flow_group_id = :flow_group_id
    AND coalesce(flow.tenant_id, automations.tenant_of_flow(flow.id)) = :tenant_id
    AND (NOT flow.archived OR flow_run.id IS NOT NULL)
ORDER BY flow_run.id IS NULL, flow.version DESC NULLS LAST
LIMIT 1;

-- name: create_flow_runs
-- Runs and their first states. The same key of the same flow gives the same run; none, where that one is just being
-- made. What is not given comes from the run config that is, from the flow group and from the flow, in this order.
-- Without a parameter that the flow requires there is no run, and the names of those are the answer.
WITH given AS MATERIALIZED (
    SELECT asked.place, gen_random_uuid() AS id, asked.tenant_id, asked.flow_id, asked.name, defaults.parameters,
        asked.context, asked.scheduled_start_time, asked.idempotency_key,
        coalesce(asked.run_config, flow_group.run_config, flow.run_config) AS run_config,
        coalesce(
            asked.labels, nullif(asked.run_config -> 'labels', 'null'), flow_group.labels,
            nullif(flow.run_config -> 'labels', 'null'), nullif(flow.environment -> 'labels', 'null'), '[]'
        ) AS labels,
        (
            SELECT array_agg(required.name #>> '{}')
            FROM jsonb_path_query(flow.parameters, '$[*] ? (@.required == true).name') AS required (name)
            WHERE NOT defaults.parameters ? (required.name #>> '{}')
        ) AS missing
    FROM unnest(
        CAST(:tenant_ids AS uuid[]), CAST(:flow_ids AS uuid[]), CAST(:names AS text[]), CAST(:parameters AS jsonb[]),
        CAST(:contexts AS jsonb[]), CAST(:labels AS jsonb[]), CAST(:run_configs AS jsonb[]),
        CAST(:scheduled_start_times AS timestamptz[]), CAST(:idempotency_keys AS text[])
    ) WITH ORDINALITY AS asked (
        tenant_id, flow_id, name, parameters, context, labels, run_config, scheduled_start_time, idempotency_key, place
    )
    JOIN public.flow ON flow.tenant_id = asked.tenant_id AND flow.id = asked.flow_id
    JOIN public.flow_group ON flow_group.id = flow.flow_group_id
    CROSS JOIN LATERAL (SELECT flow_group.default_parameters || asked.parameters AS parameters) AS defaults
), made AS (
    INSERT INTO public.flow_run (
        id, tenant_id, flow_id, name, parameters, context, labels, run_config, scheduled_start_time, idempotency_key,
        auto_scheduled
    )
    SELECT id, tenant_id, flow_id, name, parameters, context, labels, run_config, scheduled_start_time, idempotency_key,
        :auto_scheduled
    FROM given
    WHERE missing IS NULL
    ORDER BY place
    ON CONFLICT (flow_id, idempotency_key) DO NOTHING
    RETURNING id, tenant_id, scheduled_start_time
), first_state AS (
    INSERT INTO public.flow_run_state (tenant_id, flow_run_id, version, state, message, start_time, serialized_state)
    SELECT tenant_id, id, 1, 'Scheduled', 'Flow run scheduled.', scheduled_start_time,
        jsonb_build_object('type', 'Scheduled', 'message', 'Flow run scheduled.', 'start_time', scheduled_start_time)
    FROM made
)
SELECT coalesce(made.id, earlier.id) AS id, made.id IS NOT NULL AS is_new, given.missing
FROM given
LEFT JOIN made ON made.id = given.id
LEFT JOIN public.flow_run AS earlier
    ON earlier.flow_id = given.flow_id AND earlier.idempotency_key = given.idempotency_key
ORDER BY given.place;

-- name: set_flow_run_name$
UPDATE public.flow_run SET name = :name WHERE tenant_id = :tenant_id AND id = :flow_run_id RETURNING true;

-- name: set_flow_run_labels$
UPDATE public.flow_run SET labels = :labels WHERE tenant_id = :tenant_id AND id = :flow_run_id RETURNING true;

-- name: update_flow_run_heartbeat$
UPDATE public.flow_run SET heartbeat = :now WHERE tenant_id = :tenant_id AND id = :flow_run_id RETURNING true;

-- name: delete_flow_run$
DELETE FROM public.flow_run WHERE tenant_id = :tenant_id AND id = :flow_run_id RETURNING true;

-- name: set_flow_run_states
-- All or nothing, in one statement: rows are locked in one order, judged, and written only if none was refused.
-- A run named twice takes its states in the order given. The trigger copies the newest state to the run.
WITH given AS (
    SELECT new.*, row_number() OVER earlier_first AS step, lag(new.state) OVER earlier_first AS earlier_state
    FROM unnest(
        CAST(:run_ids AS uuid[]), CAST(:versions AS integer[]), CAST(:states AS text[]), CAST(:messages AS text[]),
        CAST(:results AS jsonb[]), CAST(:start_times AS timestamptz[]), CAST(:serialized_states AS jsonb[])
    ) WITH ORDINALITY AS new (run_id, expected, state, message, result, start_time, serialized_state, place)
    WINDOW earlier_first AS (PARTITION BY new.run_id ORDER BY new.place)
), run AS (
    SELECT id, version, state FROM public.flow_run
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
        END AS problem
    FROM given LEFT JOIN run ON run.id = given.run_id
), written AS (
    INSERT INTO public.flow_run_state
        (tenant_id, flow_run_id, version, state, message, result, start_time, serialized_state)
    SELECT :tenant_id, run_id, version, state, message, result, start_time, serialized_state
    FROM judged
    WHERE NOT EXISTS (SELECT FROM judged AS refused WHERE refused.problem IS NOT NULL)
    ORDER BY place
)
SELECT run_id, problem, expected, run_version FROM judged WHERE problem IS NOT NULL ORDER BY place;

-- name: cancel_flow_run^
-- A Running run is asked to stop (its process then reports Cancelled), another unfinished one is Cancelled at once,
-- a finished one and one that is stopping already stay as they are.
WITH run AS (
    SELECT id, version, state FROM public.flow_run
    WHERE tenant_id = :tenant_id AND id = :flow_run_id
    FOR NO KEY UPDATE
), judged AS MATERIALIZED (
    SELECT id, version, CASE
        WHEN state = 'Cancelling' OR state = ANY(CAST(:finished AS text[])) THEN NULL
        WHEN state = 'Running' THEN 'Cancelling'
        ELSE 'Cancelled'
    END AS next_state, state
    FROM run
), written AS (
    INSERT INTO public.flow_run_state (tenant_id, flow_run_id, version, state, message, serialized_state)
    SELECT :tenant_id, id, version + 1, next_state, :message,
        jsonb_build_object('type', next_state, 'message', CAST(:message AS text))
    FROM judged WHERE next_state IS NOT NULL
)
SELECT coalesce(next_state, state) AS state, next_state IS NOT NULL AS changed FROM judged;

-- name: set_flow_run_agent!
-- A run that is Submitted belongs to the agent that took it.
UPDATE public.flow_run SET agent_id = agent.id, heartbeat = :now
FROM public.agent
WHERE flow_run.tenant_id = :tenant_id AND flow_run.id = ANY(CAST(:flow_run_ids AS uuid[]))
    AND agent.tenant_id = :tenant_id AND agent.id = :agent_id;

-- name: set_caused_by!
-- The state changes of this transaction are the work of a delivery.
SELECT set_config('automations.caused_by', :delivery_id, true);

-- name: agent_config_exists$
SELECT EXISTS (SELECT FROM public.agent_config WHERE tenant_id = :tenant_id AND id = :agent_config_id);

-- name: register_agent$
-- The same tenant, name, type, core version and labels are the same agent; a new agent_config_id is stored.
INSERT INTO public.agent AS existing (tenant_id, agent_config_id, name, type, core_version, labels)
VALUES (:tenant_id, :agent_config_id, :name, :type, :core_version, :labels)
ON CONFLICT (tenant_id, coalesce(name, ''), coalesce(type, ''), coalesce(core_version, ''), labels)
DO UPDATE SET agent_config_id = coalesce(excluded.agent_config_id, existing.agent_config_id)
RETURNING id;

-- name: touch_agents!
-- The only sign of life of an agent: it asked for work. Once a second is enough for one that asks more often, and a row
-- that somebody else is just writing says the same in a moment.
WITH alive AS (
    SELECT agent.id
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:agent_ids AS uuid[])) AS asking (tenant_id, agent_id)
    JOIN public.agent ON agent.tenant_id = asking.tenant_id AND agent.id = asking.agent_id
    WHERE last_queried IS NULL OR last_queried NOT BETWEEN CAST(:now AS timestamptz) - interval '1 second' AND :now
    FOR NO KEY UPDATE OF agent SKIP LOCKED
)
UPDATE public.agent SET last_queried = :now FROM alive WHERE agent.id = alive.id;

-- name: runs_in_queues
-- For each that asks, the runs that are due by its time, soonest first, whose labels it has all of; a run without labels
-- waits for one who asks without. A Running one waits too when the retry of one of its tasks has been due for three
-- seconds: its own process would have begun it, and agents leave younger ones to it.
SELECT asking.place, due.id, due.state_start_time
FROM unnest(
    CAST(:tenant_ids AS uuid[]), CAST(:labels AS jsonb[]), CAST(:befores AS timestamptz[])
) WITH ORDINALITY AS asking (tenant_id, labels, before, place)
CROSS JOIN LATERAL (
    (
        SELECT id, state_start_time FROM public.flow_run
        WHERE tenant_id = asking.tenant_id AND state = 'Scheduled' AND state_start_time <= asking.before
            AND labels <@ asking.labels AND (labels = '[]') = (asking.labels = '[]')
        ORDER BY state_start_time, id
        LIMIT 25
    )
    UNION ALL
    (
        SELECT flow_run.id, min(task_run.state_start_time) AS state_start_time
        FROM public.task_run
        JOIN public.flow_run ON flow_run.id = task_run.flow_run_id
        WHERE task_run.tenant_id = asking.tenant_id
            AND task_run.state_start_time <= least(asking.before, CAST(:now AS timestamptz) - interval '3 seconds')
            AND flow_run.state = 'Running'
            AND flow_run.labels <@ asking.labels AND (flow_run.labels = '[]') = (asking.labels = '[]')
        GROUP BY flow_run.id
        ORDER BY 2, 1
        LIMIT 25
    )
    ORDER BY 2, 1
    LIMIT 25
) AS due
ORDER BY asking.place, due.state_start_time, due.id;

-- name: delete_agent$
DELETE FROM public.agent WHERE tenant_id = :tenant_id AND id = :agent_id RETURNING true;

-- name: create_agent_config$
INSERT INTO public.agent_config (tenant_id, name, settings) VALUES (:tenant_id, :name, :settings) RETURNING id;

-- name: update_agent_config$
UPDATE public.agent_config
SET name = CASE WHEN :has_name THEN CAST(:name AS text) ELSE name END,
    settings = coalesce(CAST(:settings AS jsonb), settings)
WHERE tenant_id = :tenant_id AND id = :agent_config_id
RETURNING true;

-- name: delete_agent_config$
DELETE FROM public.agent_config WHERE tenant_id = :tenant_id AND id = :agent_config_id RETURNING true;
