-- name: owe$
-- What the automations of some new firings owe: a delivery for each action and target. Returns how many.
WITH owed AS (
    INSERT INTO automations.delivery (
        tenant_id, firing_id, automation_id, action_id, action_type, destination, target, subject, is_ordered,
        status, due_at, finished_at, reason
    )
    SELECT firing.tenant_id, firing.id, firing.automation_id, action.id, action.action_type, action.destination,
        target.name,
        firing.automation_id || '/' || coalesce(
            CAST(firing.flow_run_id AS text), firing.event ->> 'agent_config_id',
            concat_ws('/', firing.event ->> 'problem', firing.event -> 'affected' ->> 0)
        ),
        action.is_ordered,
        CASE WHEN against.reason IS NULL THEN 'PENDING' ELSE 'SUPPRESSED' END,
        CASE WHEN against.reason IS NULL THEN CAST(:now AS timestamptz) END,
        CASE WHEN against.reason IS NOT NULL THEN CAST(:now AS timestamptz) END,
        against.reason
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:ids AS uuid[])) AS new (tenant_id, id)
    JOIN automations.firing ON firing.tenant_id = new.tenant_id AND firing.id = new.id
    JOIN automations.automation_action AS step
        ON step.tenant_id = firing.tenant_id AND step.automation_id = firing.automation_id
    JOIN automations.action ON action.tenant_id = step.tenant_id AND action.id = step.action_id
    CROSS JOIN LATERAL unnest(action.targets) AS target (name)
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN firing.depth > CAST(:max_depth AS integer) THEN
                'Automations set one another off ' || firing.depth || ' times in a row; the chain was stopped here'
            WHEN action.paused_at IS NOT NULL THEN automations.paused_text(action.paused_at, action.paused_reason)
        END AS reason
    ) AS against
    ORDER BY firing.id, step.position
    RETURNING 1
)
SELECT count(*) FROM owed;
