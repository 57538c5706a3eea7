-- name: event_of_run$
-- A run as an event tells of it, in its present state.
SELECT jsonb_build_object(
    'flow_id', flow.id,
    'flow_name', left(flow.name, 1000),
    'flow_group_id', flow.flow_group_id,
    'flow_run_id', run.id,
    'flow_run_name', left(run.name, 1000),
    'state', run.state,
    'state_message', left(run.state_message, 8000)
)
FROM public.flow_run AS run
JOIN public.flow ON flow.id = run.flow_id
WHERE run.id = :flow_run_id AND coalesce(run.tenant_id, automations.tenant_of_flow(flow.id)) = :tenant_id;

-- name: slug$
SELECT slug FROM public.tenant WHERE id = :tenant_id;

-- name: fire$
INSERT INTO automations.firing (
    tenant_id, automation_id, event_type, event_id, event, flow_run_id, is_test, traceparent
)
VALUES (
    :tenant_id, :automation_id, :event_type, :event_id, :event, :flow_run_id, true,
    nullif(current_setting('automations.traceparent', true), '')
)
RETURNING id;

-- name: owe
-- A delivery to each target of an automation's actions, or of one action.
INSERT INTO automations.delivery (
    tenant_id, firing_id, automation_id, action_id, action_type, destination, target, subject, status, due_at, is_test
)
SELECT action.tenant_id, :firing_id, :automation_id, action.id, action.action_type, action.destination, target.name,
    CAST(:firing_id AS uuid), 'PENDING', :now, true
FROM automations.action
CROSS JOIN LATERAL unnest(action.targets) AS target (name)
WHERE action.tenant_id = :tenant_id AND action.id = ANY(CAST(:action_ids AS uuid[]))
ORDER BY array_position(CAST(:action_ids AS uuid[]), action.id)
RETURNING id, action_id;

-- name: outcomes
-- How deliveries stand, with what was sent last.
SELECT delivery.id, delivery.action_id, delivery.status, delivery.status_code, delivery.reason, attempt.request
FROM automations.delivery
LEFT JOIN automations.attempt ON attempt.tenant_id = delivery.tenant_id AND attempt.delivery_id = delivery.id
    AND attempt.number = delivery.attempt_count
WHERE delivery.tenant_id = :tenant_id AND delivery.id = ANY(CAST(:ids AS uuid[]))
ORDER BY array_position(CAST(:ids AS uuid[]), delivery.id);

-- name: redeliver^
-- A new delivery that repeats an ended one, with the action as it is now. `status` is that of the old one.
WITH old AS (
    SELECT delivery.*, action.action_type AS type_now, action.destination AS destination_now,
        action.is_ordered AS is_ordered_now
    FROM automations.delivery
    JOIN automations.action ON action.tenant_id = delivery.tenant_id AND action.id = delivery.action_id
    WHERE delivery.tenant_id = :tenant_id AND delivery.id = :delivery_id
), made AS (
    INSERT INTO automations.delivery (
        tenant_id, firing_id, automation_id, action_id, action_type, destination, target, subject, is_ordered, status,
        due_at, is_test, redelivery_of
    )
    SELECT tenant_id, firing_id, automation_id, action_id, type_now, destination_now, target, subject, is_ordered_now,
        'PENDING', :now, is_test, id
    FROM old WHERE status NOT IN ('PENDING', 'SENDING')
    RETURNING id
)
SELECT old.status, made.id FROM old LEFT JOIN made ON true;
