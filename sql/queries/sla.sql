-- name: backfill_timers$
-- Sets the timers of runs that are open already, for some SLAs, in all of their flow groups or in those given. A timer
-- that is there keeps its place in the run's history and gets the SLA's present duration.
WITH sla AS (
    SELECT * FROM automations.watched_sla
    WHERE tenant_id = :tenant_id AND flow_sla_config_id = ANY(CAST(:flow_sla_config_ids AS uuid[]))
        AND (CAST(:flow_group_ids AS uuid[]) IS NULL OR flow_group_id = ANY(CAST(:flow_group_ids AS uuid[])))
), open_run AS (
    SELECT run.id, run.state, flow.flow_group_id
    FROM public.flow_run AS run
    JOIN public.flow ON flow.id = run.flow_id
    WHERE coalesce(run.tenant_id, automations.tenant_of_flow(flow.id)) = :tenant_id AND run.state = ANY(CAST(:open_states AS text[]))
        AND EXISTS (SELECT FROM sla WHERE sla.flow_group_id IN (flow.flow_group_id, '00000000-0000-0000-0000-000000000000'))
), timed AS (
    INSERT INTO automations.sla_timer
        (tenant_id, flow_sla_config_id, flow_run_id, version, anchored_at, due_at)
    SELECT DISTINCT ON (sla.flow_sla_config_id, open_run.id)
        sla.tenant_id, sla.flow_sla_config_id, open_run.id, anchor.version, anchor.anchored_at,
        anchor.anchored_at + sla.duration_seconds * interval '1 second'
    FROM open_run
    JOIN sla ON sla.flow_group_id IN (open_run.flow_group_id, '00000000-0000-0000-0000-000000000000')
    CROSS JOIN LATERAL automations.sla_anchor(open_run.id, sla.kind) AS anchor
    WHERE NOT automations.sla_is_settled(open_run.id, anchor.version, sla.kind)
    ON CONFLICT (tenant_id, flow_sla_config_id, flow_run_id) DO UPDATE
    SET version = excluded.version, anchored_at = excluded.anchored_at, due_at = excluded.due_at
    WHERE excluded.version >= sla_timer.version
    RETURNING 1
)
SELECT count(*) FROM timed;

-- name: drop_timers!
DELETE FROM automations.sla_timer
WHERE tenant_id = :tenant_id AND flow_sla_config_id = ANY(CAST(:flow_sla_config_ids AS uuid[]));

-- name: next_due$
SELECT min(due_at) FROM automations.sla_timer;

-- name: take_due
-- Drops the due timers whose runs have kept their SLA or are gone, and returns the others, held together with their
-- runs: whoever is just writing a state of such a run has the word first, and the timer is looked at again.
WITH due AS MATERIALIZED (
    SELECT timer.*, config.kind, config.deleted_at IS NOT NULL AS is_void
    FROM automations.sla_timer AS timer
    JOIN automations.flow_sla_config AS config
        ON config.tenant_id = timer.tenant_id AND config.id = timer.flow_sla_config_id
    WHERE timer.due_at <= :now
    ORDER BY timer.due_at
    LIMIT :batch
    FOR UPDATE OF timer SKIP LOCKED
), open AS MATERIALIZED (
    SELECT due.* FROM due
    WHERE NOT is_void AND NOT automations.sla_is_settled(due.flow_run_id, due.version, due.kind)
), held AS MATERIALIZED (
    SELECT run.id FROM public.flow_run AS run
    WHERE run.id IN (SELECT flow_run_id FROM open)
    FOR SHARE SKIP LOCKED
), busy AS (
    SELECT open.flow_run_id FROM open
    WHERE NOT EXISTS (SELECT FROM held WHERE held.id = open.flow_run_id)
        AND EXISTS (SELECT FROM public.flow_run AS run WHERE run.id = open.flow_run_id)
), dropped AS (
    DELETE FROM automations.sla_timer AS timer USING due
    WHERE timer.tenant_id = due.tenant_id AND timer.flow_sla_config_id = due.flow_sla_config_id
        AND timer.flow_run_id = due.flow_run_id
        AND NOT EXISTS (SELECT FROM held WHERE held.id = due.flow_run_id)
        AND NOT EXISTS (SELECT FROM busy WHERE busy.flow_run_id = due.flow_run_id)
)
SELECT (SELECT count(*) FROM due) AS due, (SELECT count(*) FROM busy) AS busy,
    open.tenant_id, open.flow_sla_config_id, open.flow_run_id
FROM (SELECT) AS always
LEFT JOIN open ON EXISTS (SELECT FROM held WHERE held.id = open.flow_run_id);

-- name: fire_late
-- Turns held timers into firings of the runs that are late still. The same SLA and anchor fire an automation once.
WITH taken AS (
    DELETE FROM automations.sla_timer AS timer
    USING unnest(
        CAST(:tenant_ids AS uuid[]), CAST(:flow_sla_config_ids AS uuid[]), CAST(:flow_run_ids AS uuid[])
    ) AS held (tenant_id, flow_sla_config_id, flow_run_id)
    WHERE timer.tenant_id = held.tenant_id AND timer.flow_sla_config_id = held.flow_sla_config_id
        AND timer.flow_run_id = held.flow_run_id
    RETURNING timer.*
), late AS (
    SELECT taken.*, config.kind, config.duration_seconds, rule.automation_id,
        md5(concat_ws('/', taken.flow_run_id, taken.flow_sla_config_id, extract(epoch FROM taken.anchored_at)))::uuid AS event_id
    FROM taken
    JOIN automations.flow_sla_config AS config
        ON config.tenant_id = taken.tenant_id AND config.id = taken.flow_sla_config_id
    JOIN automations.automation_sla AS rule
        ON rule.tenant_id = taken.tenant_id AND rule.flow_sla_config_id = taken.flow_sla_config_id
    WHERE NOT automations.sla_is_settled(taken.flow_run_id, taken.version, config.kind)
)
INSERT INTO automations.firing (tenant_id, automation_id, event_type, event_id, event, flow_run_id, depth)
SELECT late.tenant_id, late.automation_id, 'FlowSLAFailedEvent', late.event_id,
    jsonb_build_object(
        'id', late.event_id,
        'event_name', 'FlowSLAFailedEvent',
        'tenant_id', late.tenant_id,
        'tenant_slug', tenant.slug,
        'timestamp', late.due_at,
        'flow_id', flow.id,
        'flow_name', left(flow.name, 1000),
        'flow_group_id', flow.flow_group_id,
        'flow_run_id', run.id,
        'flow_run_name', left(run.name, 1000),
        'state', run.state,
        'state_message', left(run.state_message, 8000),
        'flow_sla_config_id', late.flow_sla_config_id,
        'kind', late.kind,
        'duration_seconds', late.duration_seconds,
        'noticed_after_seconds', floor(extract(epoch FROM CAST(:now AS timestamptz) - late.due_at))
    ),
    run.id, CASE WHEN late.caused_by IS NULL THEN 0 ELSE automations.depth_after(late.tenant_id, late.caused_by) END
FROM late
JOIN public.flow_run AS run ON run.id = late.flow_run_id
JOIN public.flow ON flow.id = run.flow_id
JOIN public.tenant ON tenant.id = late.tenant_id
ON CONFLICT (tenant_id, event_id, automation_id) WHERE event_type <> 'FlowRunStateChangedEvent' AND NOT is_test
    DO NOTHING
RETURNING tenant_id, id;

-- name: insert_config$
INSERT INTO automations.flow_sla_config (tenant_id, name, kind, duration_seconds, idempotency_key)
VALUES (:tenant_id, :name, :kind, :duration_seconds, :idempotency_key)
RETURNING id;

-- name: config_of_idempotency_key^
SELECT id, deleted_at FROM automations.flow_sla_config
WHERE tenant_id = :tenant_id AND idempotency_key = :idempotency_key;

-- name: put_inline_config!
INSERT INTO automations.flow_sla_config (tenant_id, id, kind, duration_seconds, inline)
VALUES (:tenant_id, :id, :kind, :duration_seconds, true)
ON CONFLICT (tenant_id, id) DO UPDATE
SET kind = excluded.kind, duration_seconds = excluded.duration_seconds, deleted_at = NULL, updated = now();

-- name: put_links!
-- The flow groups of an SLA are these and no others.
WITH gone AS (
    DELETE FROM automations.flow_group_sla
    WHERE tenant_id = :tenant_id AND flow_sla_config_id = :flow_sla_config_id
        AND flow_group_id <> ALL(CAST(:flow_group_ids AS uuid[]))
)
INSERT INTO automations.flow_group_sla (tenant_id, flow_sla_config_id, flow_group_id)
SELECT :tenant_id, :flow_sla_config_id, flow_group_id FROM unnest(CAST(:flow_group_ids AS uuid[])) AS flow_group_id
ON CONFLICT (tenant_id, flow_group_id, flow_sla_config_id) DO NOTHING;

-- name: add_link$
INSERT INTO automations.flow_group_sla AS existing (tenant_id, flow_sla_config_id, flow_group_id)
VALUES (:tenant_id, :flow_sla_config_id, :flow_group_id)
ON CONFLICT (tenant_id, flow_group_id, flow_sla_config_id) DO UPDATE SET flow_group_id = existing.flow_group_id
RETURNING id;

-- name: known_configs$
-- Which of these ids are SLAs of the tenant that were saved on their own; held against deletion.
WITH known AS (
    SELECT id FROM automations.flow_sla_config
    WHERE tenant_id = :tenant_id AND id = ANY(CAST(:ids AS uuid[])) AND deleted_at IS NULL AND NOT inline
    ORDER BY id
    FOR SHARE
)
SELECT coalesce(array_agg(id), '{}') FROM known;

-- name: delete_inline_config!
UPDATE automations.flow_sla_config SET deleted_at = now()
WHERE tenant_id = :tenant_id AND id = :flow_sla_config_id AND inline;

-- name: clear_rules!
DELETE FROM automations.automation_sla WHERE tenant_id = :tenant_id AND automation_id = :automation_id;

-- name: add_rules!
INSERT INTO automations.automation_sla (tenant_id, flow_sla_config_id, automation_id)
SELECT :tenant_id, flow_sla_config_id, :automation_id
FROM unnest(CAST(:flow_sla_config_ids AS uuid[])) AS flow_sla_config_id;
