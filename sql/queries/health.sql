-- name: ping$
-- Whether the database answers.
SELECT 1;

-- name: measure^
-- What waits, and for how long, over all tenants. A delivery whose destination is in trouble waits for that one, and a
-- retry for its time: neither counts as late.
SELECT change.waiting AS changes_waiting,
    coalesce(extract(epoch FROM :now - change.oldest), 0)::float8 AS change_lag_seconds,
    pending.count AS deliveries_pending, pending.due AS deliveries_due,
    coalesce(extract(epoch FROM :now - pending.oldest_due), 0)::float8 AS delivery_lag_seconds,
    sending.count AS deliveries_sending, sending.abandoned AS leases_run_out,
    timer.overdue AS timers_overdue,
    coalesce(extract(epoch FROM :now - timer.oldest), 0)::float8 AS timer_lag_seconds,
    (SELECT count(DISTINCT (tenant_id, agent_config_id)) FROM automations.agent_group_health WHERE down_since IS NOT NULL)
        AS agent_groups_down,
    trouble.count AS destinations_failing, trouble.long AS destinations_failing_long,
    (SELECT count(*) FROM automations.action WHERE paused_at IS NOT NULL AND deleted_at IS NULL) AS actions_paused,
    (
        SELECT count(DISTINCT (action.tenant_id, action.id))
        FROM automations.action
        CROSS JOIN LATERAL unnest(action.used_secrets) AS used (name)
        WHERE action.deleted_at IS NULL AND NOT EXISTS (
            SELECT FROM automations.secret WHERE secret.tenant_id = action.tenant_id AND secret.name = used.name
        )
    ) AS actions_without_secret,
    (SELECT count(*) FROM automations.automation WHERE deleted_at IS NULL) AS automations
FROM (
    SELECT count(*) AS waiting, (
        SELECT captured_at FROM automations.state_change ORDER BY id LIMIT 1
    ) AS oldest
    FROM automations.state_change
) AS change
CROSS JOIN (
    SELECT count(*) AS count, count(*) FILTER (WHERE is_late) AS due, min(due_at) FILTER (WHERE is_late) AS oldest_due
    FROM automations.delivery
    LEFT JOIN automations.destination
        ON destination.tenant_id = delivery.tenant_id AND destination.name = delivery.destination
    CROSS JOIN LATERAL (
        SELECT due_at <= :now AND open_until IS NULL AND coalesce(held_until <= :now, true)
            AND coalesce(spent_until <= :now, true) AS is_late
    ) AS judged
    WHERE status = 'PENDING'
) AS pending
CROSS JOIN (
    SELECT count(*) AS count, count(*) FILTER (WHERE lease_until < :now) AS abandoned
    FROM automations.delivery WHERE status = 'SENDING'
) AS sending
CROSS JOIN (
    SELECT count(*) AS overdue, min(due_at) AS oldest FROM automations.sla_timer WHERE due_at < :now
) AS timer
CROSS JOIN (
    SELECT count(*) AS count, count(*) FILTER (WHERE openings >= CAST(:long_openings AS integer)) AS long
    FROM automations.destination WHERE open_until IS NOT NULL
) AS trouble;

-- name: sizes
-- Of the tables that grow or churn: bytes on disk with their indexes, and rows as the statistics have them.
SELECT format('%s.%s', relnamespace::regnamespace, relname) AS name, pg_total_relation_size(oid) AS bytes,
    greatest(reltuples, 0)::bigint AS rows
FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace = ANY(ARRAY['automations'::regnamespace, 'public'::regnamespace])
ORDER BY pg_total_relation_size(oid) DESC, relname;
