-- name: evaluate^
-- Takes a batch of state changes off the queue and writes what fires because of them, and the timers of the SLAs that
-- begin to count with them, in one transaction.
-- The nil UUID in a rule stands for "all". A change of a run that was deleted meanwhile matches nothing.
-- Names and messages are read for matches only: most changes match nothing. Long ones are cut: names to 1,000
-- characters, messages to 8,000. Ids are given in the order of the queue: deliveries that keep an order go by them.
-- A change that belongs to a trace is evaluated in a span of it, whose id is the last half of the state's.
WITH taken AS (
    DELETE FROM automations.state_change
    WHERE id = ANY(ARRAY(
        SELECT id FROM automations.state_change ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED
    ))
    RETURNING id, tenant_id, flow_run_id, flow_run_state_id, state, captured_at, caused_by, traceparent,
        CASE WHEN traceparent IS NOT NULL THEN
            overlay(traceparent PLACING right(replace(CAST(flow_run_state_id AS text), '-', ''), 16) FROM 37)
        END AS evaluated_in
), matched AS MATERIALIZED (
    SELECT automations.new_id() AS firing_id, rule.tenant_id, rule.automation_id, taken.flow_run_id, taken.flow_run_state_id,
        taken.evaluated_in, run.name AS flow_run_name, flow.id AS flow_id, flow.name AS flow_name, flow.flow_group_id,
        CASE WHEN cause.id IS NULL THEN 0 ELSE automations.depth_after(rule.tenant_id, cause.id) END AS depth
    FROM taken
    JOIN public.flow_run AS run ON run.id = taken.flow_run_id
    JOIN public.flow ON flow.id = run.flow_id
    JOIN automations.automation_match AS rule
        ON rule.tenant_id = coalesce(taken.tenant_id, run.tenant_id, automations.tenant_of_flow(flow.id))
        AND rule.state = taken.state
        AND rule.flow_group_id = ANY(ARRAY[flow.flow_group_id, '00000000-0000-0000-0000-000000000000'::uuid])
        AND rule.project_id = ANY(ARRAY[flow.project_id, '00000000-0000-0000-0000-000000000000'::uuid])
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN taken.caused_by IS NULL AND taken.state IN ('pending', 'scheduled', 'cancelling', 'cancelled')
                THEN automations.cause_of(rule.tenant_id, taken.flow_run_id, taken.state)
            ELSE taken.caused_by
        END AS id
    ) AS cause
    ORDER BY taken.id
), fired AS (
    INSERT INTO automations.firing (tenant_id, id, automation_id, event_type, event_id, event, flow_run_id, depth, traceparent)
    SELECT matched.tenant_id, matched.firing_id, matched.automation_id, 'FlowRunStateChangedEvent',
        matched.flow_run_state_id,
        jsonb_build_object(
            'id', matched.flow_run_state_id,
            'event_name', 'FlowRunStateChangedEvent',
            'tenant_id', matched.tenant_id,
            'tenant_slug', tenant.slug,
            'timestamp', state.timestamp,
            'flow_id', matched.flow_id,
            'flow_name', left(matched.flow_name, 1000),
            'flow_group_id', matched.flow_group_id,
            'flow_run_id', matched.flow_run_id,
            'flow_run_name', left(matched.flow_run_name, 1000),
            'state', state.state,
            'state_message', left(state.message, 8000)
        ),
        matched.flow_run_id, matched.depth, matched.evaluated_in
    FROM matched
    JOIN public.flow_run_state AS state ON state.id = matched.flow_run_state_id
    JOIN public.tenant ON tenant.id = matched.tenant_id
    RETURNING tenant_id, id, automation_id, flow_run_id, depth
), owed AS (
    INSERT INTO automations.delivery (
        tenant_id, firing_id, automation_id, action_id, action_type, destination, target, subject, is_ordered,
        status, due_at, finished_at, reason
    )
    SELECT fired.tenant_id, fired.id, fired.automation_id, action.id, action.action_type, action.destination,
        target.name, fired.automation_id || '/' || fired.flow_run_id, action.is_ordered,
        CASE WHEN against.reason IS NULL THEN 'PENDING' ELSE 'SUPPRESSED' END,
        CASE WHEN against.reason IS NULL THEN CAST(:now AS timestamptz) END,
        CASE WHEN against.reason IS NOT NULL THEN CAST(:now AS timestamptz) END,
        against.reason
    FROM fired
    JOIN automations.automation_action AS step
        ON step.tenant_id = fired.tenant_id AND step.automation_id = fired.automation_id
    JOIN automations.action ON action.tenant_id = step.tenant_id AND action.id = step.action_id
    CROSS JOIN LATERAL unnest(action.targets) AS target (name)
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN fired.depth > CAST(:max_depth AS integer) THEN
                'Automations set one another off ' || fired.depth || ' times in a row; the chain was stopped here'
            WHEN action.paused_at IS NOT NULL THEN automations.paused_text(action.paused_at, action.paused_reason)
        END AS reason
    ) AS against
    ORDER BY fired.id, step.position
    RETURNING status
), clocked AS MATERIALIZED (
    SELECT DISTINCT ON (run.id, taken.state = 'running')
        coalesce(taken.tenant_id, run.tenant_id, automations.tenant_of_flow(flow.id)) AS tenant_id, run.id AS flow_run_id,
        flow.flow_group_id, taken.caused_by,
        CASE taken.state WHEN 'running' THEN 'STARTED_NOT_FINISHED' ELSE 'SCHEDULED_NOT_STARTED' END AS kind
    FROM taken
    JOIN public.flow_run AS run ON run.id = taken.flow_run_id
    JOIN public.flow ON flow.id = run.flow_id
    WHERE taken.state IN ('running', 'scheduled', 'retrying', 'resume', 'paused')
        AND EXISTS (SELECT FROM automations.automation_sla)
), timed AS (
    INSERT INTO automations.sla_timer
        (tenant_id, flow_sla_config_id, flow_run_id, version, anchored_at, due_at, caused_by)
    SELECT DISTINCT ON (sla.tenant_id, sla.flow_sla_config_id, clocked.flow_run_id)
        sla.tenant_id, sla.flow_sla_config_id, clocked.flow_run_id, anchor.version, anchor.anchored_at,
        anchor.anchored_at + sla.duration_seconds * interval '1 second',
        CASE
            WHEN clocked.caused_by IS NULL AND clocked.kind = 'SCHEDULED_NOT_STARTED'
                THEN automations.cause_of(clocked.tenant_id, clocked.flow_run_id, 'scheduled')
            ELSE clocked.caused_by
        END
    FROM clocked
    JOIN automations.watched_sla AS sla
        ON sla.tenant_id = clocked.tenant_id AND sla.kind = clocked.kind
        AND sla.flow_group_id = ANY(ARRAY[clocked.flow_group_id, '00000000-0000-0000-0000-000000000000'::uuid])
    CROSS JOIN LATERAL automations.sla_anchor(clocked.flow_run_id, clocked.kind) AS anchor
    ON CONFLICT (tenant_id, flow_sla_config_id, flow_run_id) DO UPDATE
    SET version = excluded.version, anchored_at = excluded.anchored_at, due_at = excluded.due_at,
        caused_by = excluded.caused_by
    WHERE excluded.version >= sla_timer.version
    RETURNING due_at
)
SELECT (SELECT count(*) FROM taken) AS changes,
    (SELECT count(*) FROM fired) AS firings,
    (SELECT count(*) FROM owed) AS deliveries,
    (SELECT min(captured_at) FROM taken) AS oldest,
    (SELECT min(due_at) FROM timed) AS next_timer,
    (
        SELECT jsonb_agg(jsonb_build_array(traceparent, evaluated_in, flow_run_id, state, captured_at, coalesce(firings, 0)))
        FROM taken
        LEFT JOIN (
            SELECT flow_run_state_id, count(*) AS firings FROM matched GROUP BY flow_run_state_id
        ) AS found USING (flow_run_state_id)
        WHERE traceparent IS NOT NULL
    ) AS traced;

-- name: is_waiting$
-- Through the index: what was deleted a moment ago still fills the table's first pages.
SELECT min(id) IS NOT NULL FROM automations.state_change;

-- name: hold_idle_lock$
-- False while a writer is in the middle of a change, or while another evaluator rests already.
SELECT pg_try_advisory_lock(7305804402);

-- name: release_idle_lock$
SELECT pg_advisory_unlock(7305804402);
