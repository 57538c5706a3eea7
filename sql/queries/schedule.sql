-- name: hold_schedule^
-- A flow's schedule, which is the flow group's if that has one; and what decides whether it can make runs.
SELECT coalesce(nullif(flow_group.schedule, 'null'), nullif(flow.schedule, 'null')) AS schedule, flow.archived,
    ARRAY(
        SELECT required.name #>> '{}'
        FROM jsonb_path_query(flow.parameters, '$[*] ? (@.required == true).name') AS required (name)
        WHERE NOT flow_group.default_parameters ? (required.name #>> '{}')
    ) AS required
FROM public.flow
JOIN public.flow_group ON flow_group.id = flow.flow_group_id
WHERE flow.tenant_id = :tenant_id AND flow.id = :flow_id
FOR NO KEY UPDATE OF flow;

-- name: set_schedule_active$
UPDATE public.flow SET is_schedule_active = :active WHERE tenant_id = :tenant_id AND id = :flow_id RETURNING true;

-- name: delete_runs_ahead!
-- What schedules that are off made ahead, of all versions of a flow. It is a statement of its own, after the one that
-- switched them off: that one waited for whoever was making runs, and this one sees them.
DELETE FROM public.flow_run USING public.flow
WHERE flow.tenant_id = :tenant_id AND NOT flow.is_schedule_active
    AND flow.flow_group_id = (SELECT flow_group_id FROM public.flow WHERE tenant_id = :tenant_id AND id = :flow_id)
    AND flow_run.flow_id = flow.id AND flow_run.auto_scheduled AND flow_run.state = 'Scheduled';

-- name: hold_flows_to_schedule
-- Flows whose schedule has made fewer runs ahead than it should have, in the order of their ids. They are held: whoever
-- looks at the same time passes them over, and whoever switches a schedule off waits.
SELECT flow.id, flow.tenant_id, :ahead - made.ahead AS wanted, made.latest,
    coalesce(nullif(flow_group.schedule, 'null'), nullif(flow.schedule, 'null')) AS schedule
FROM public.flow
JOIN public.flow_group ON flow_group.id = flow.flow_group_id
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'Scheduled' AND scheduled_start_time > :now) AS ahead,
        max(scheduled_start_time) AS latest
    FROM (
        SELECT state, scheduled_start_time FROM public.flow_run
        WHERE flow_run.flow_id = flow.id AND auto_scheduled
        ORDER BY scheduled_start_time DESC
        LIMIT :ahead
    ) AS run
) AS made
WHERE flow.is_schedule_active AND NOT flow.archived AND flow.id BETWEEN :first AND :last
    AND flow.id <> ALL(CAST(:passed_over AS uuid[]))
    AND coalesce(nullif(flow_group.schedule, 'null'), nullif(flow.schedule, 'null')) IS NOT NULL
    AND made.ahead < :ahead
ORDER BY flow.id
LIMIT :batch
FOR NO KEY UPDATE OF flow SKIP LOCKED;
