-- name: tenants
SELECT id FROM public.tenant ORDER BY id;

-- name: prune_ledger^
-- Looks at the next firings before a point in time, and removes those of which nothing is owed any more and nothing was
-- sent again since, with their deliveries and attempts. Ids begin with the time at which they were given.
WITH old AS MATERIALIZED (
    SELECT id FROM automations.firing
    WHERE tenant_id = :tenant_id AND id > :after AND id < :before
    ORDER BY id LIMIT :batch
), done AS MATERIALIZED (
    SELECT id FROM old
    WHERE NOT EXISTS (
        SELECT FROM automations.delivery
        WHERE delivery.tenant_id = :tenant_id AND delivery.firing_id = old.id
            AND (delivery.status IN ('PENDING', 'SENDING') OR delivery.id >= :before)
    )
), deliveries AS (
    DELETE FROM automations.delivery USING done
    WHERE delivery.tenant_id = :tenant_id AND delivery.firing_id = done.id
    RETURNING delivery.id
), attempts AS (
    DELETE FROM automations.attempt USING deliveries
    WHERE attempt.tenant_id = :tenant_id AND attempt.delivery_id = deliveries.id
), firings AS (
    DELETE FROM automations.firing USING done WHERE firing.tenant_id = :tenant_id AND firing.id = done.id
    RETURNING firing.id
)
SELECT (SELECT id FROM old ORDER BY id DESC LIMIT 1) AS last, (SELECT count(*) FROM firings) AS removed;

-- name: prune_audit^
WITH old AS MATERIALIZED (
    SELECT id FROM automations.audit_event
    WHERE tenant_id = :tenant_id AND id > :after AND id < :before
    ORDER BY id LIMIT :batch
), removed AS (
    DELETE FROM automations.audit_event USING old
    WHERE audit_event.tenant_id = :tenant_id AND audit_event.id = old.id
    RETURNING audit_event.id
)
SELECT (SELECT id FROM old ORDER BY id DESC LIMIT 1) AS last, (SELECT count(*) FROM removed) AS removed;

-- name: allow_audit_removal!
-- Until the end of the transaction.
SELECT set_config('automations.is_retention', 'on', true);

-- name: prune_idempotency_keys$
WITH old AS MATERIALIZED (
    SELECT table_name, idempotency_key FROM automations.idempotency_key
    WHERE tenant_id = :tenant_id AND created < :before
    ORDER BY created LIMIT :batch
), removed AS (
    DELETE FROM automations.idempotency_key AS made USING old
    WHERE made.tenant_id = :tenant_id AND made.table_name = old.table_name AND made.idempotency_key = old.idempotency_key
    RETURNING made.row_id
)
SELECT count(*) FROM removed;

-- name: prune_flow_runs^
-- Runs that ended before a point in time, with their states, task runs and logs. Those scheduled at one time are looked
-- at together, so that none is passed over.
WITH old AS MATERIALIZED (
    SELECT id, scheduled_start_time, end_time FROM public.flow_run
    WHERE tenant_id = :tenant_id AND scheduled_start_time > :after AND scheduled_start_time < :before
    ORDER BY scheduled_start_time FETCH FIRST (:batch) ROWS WITH TIES
), removed AS (
    DELETE FROM public.flow_run USING old
    WHERE flow_run.tenant_id = :tenant_id AND flow_run.id = old.id AND old.end_time < :before
    RETURNING flow_run.id
)
SELECT (SELECT max(scheduled_start_time) FROM old) AS last, (SELECT count(*) FROM removed) AS removed;
