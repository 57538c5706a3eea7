-- name: claim
-- Walks the destinations that have something pending, starting after the one where the last claim stopped, and takes
-- from each what it may still send: a destination with a long or blocked queue costs two index probes. Together they
-- leave a share of the room free for those that come later.
-- At least one row comes back: it says after which destination the next claim goes on, null for the first again.
WITH RECURSIVE queue AS (
    (
        SELECT tenant_id, destination FROM automations.delivery
        WHERE status = 'PENDING' AND (tenant_id, destination) > (CAST(:after_tenant AS uuid), CAST(:after_destination AS text))
        ORDER BY tenant_id, destination LIMIT 1
    )
    UNION ALL
    SELECT next.tenant_id, next.destination
    FROM queue AS last
    CROSS JOIN LATERAL (
        SELECT tenant_id, destination FROM automations.delivery
        WHERE status = 'PENDING' AND (tenant_id, destination) > (last.tenant_id, last.destination)
        ORDER BY tenant_id, destination LIMIT 1
    ) AS next
), visited AS MATERIALIZED (
    SELECT tenant_id, destination FROM queue LIMIT :destinations
), fair AS MATERIALIZED (
    SELECT greatest(1, least(CAST(:per_destination AS bigint), :batch / (:sharers + count(*)))) AS share FROM visited
), busy AS (
    SELECT * FROM unnest(
        CAST(:busy_tenants AS uuid[]), CAST(:busy_destinations AS text[]), CAST(:busy_counts AS integer[])
    ) AS busy (tenant_id, destination, taken)
), candidate AS MATERIALIZED (
    SELECT due.tenant_id, due.id, visited.destination
    FROM visited
    CROSS JOIN fair
    LEFT JOIN busy ON busy.tenant_id = visited.tenant_id AND busy.destination = visited.destination
    CROSS JOIN LATERAL (
        SELECT tenant_id, id FROM automations.delivery
        WHERE status = 'PENDING' AND tenant_id = visited.tenant_id AND destination = visited.destination
            AND due_at <= :now
            AND NOT (is_ordered AND EXISTS (
                SELECT FROM automations.delivery AS earlier
                WHERE earlier.tenant_id = delivery.tenant_id AND earlier.action_id = delivery.action_id
                    AND earlier.subject = delivery.subject AND earlier.id < delivery.id
                    AND earlier.is_ordered AND earlier.status IN ('PENDING', 'SENDING')
            ))
        ORDER BY due_at
        LIMIT greatest(0, fair.share - coalesce(busy.taken, 0))
        FOR UPDATE SKIP LOCKED
    ) AS due
    LIMIT :batch
), claimed AS (
    UPDATE automations.delivery
    SET status = 'SENDING', attempt_count = delivery.attempt_count + 1, due_at = NULL, started_at = :now,
        lease_until = :lease_until
    FROM candidate
    WHERE delivery.tenant_id = candidate.tenant_id AND delivery.id = candidate.id
    RETURNING delivery.*
), page AS (
    SELECT fair.share, last.tenant_id AS last_tenant, last.destination AS last_destination
    FROM fair LEFT JOIN LATERAL (
        SELECT tenant_id, destination FROM candidate WHERE (SELECT count(*) FROM candidate) = :batch
        UNION ALL
        SELECT tenant_id, destination FROM visited WHERE (SELECT count(*) FROM candidate) < :batch
            AND (SELECT count(*) FROM visited) = :destinations
        ORDER BY tenant_id DESC, destination DESC LIMIT 1
    ) AS last ON true
)
SELECT page.share, page.last_tenant, page.last_destination,
    claimed.tenant_id, claimed.id, claimed.attempt_count AS number, claimed.destination, claimed.created,
    claimed.target, coalesce(claimed.subject, CAST(claimed.action_id AS text)) AS subject, claimed.may_have_arrived,
    claimed.is_test, claimed.automation_id, claimed.action_id, claimed.firing_id,
    action.action_type, action.action_config, firing.event_type, firing.event, automation.name AS automation_name,
    (
        SELECT jsonb_object_agg(secret.name, encode(secret.sealed, 'base64'))
        FROM automations.secret
        WHERE secret.tenant_id = claimed.tenant_id AND secret.name = ANY(action.used_secrets)
    ) AS sealed_secrets
FROM page
LEFT JOIN claimed ON true
LEFT JOIN automations.action ON action.tenant_id = claimed.tenant_id AND action.id = claimed.action_id
LEFT JOIN automations.firing ON firing.tenant_id = claimed.tenant_id AND firing.id = claimed.firing_id
LEFT JOIN automations.automation ON automation.tenant_id = claimed.tenant_id AND automation.id = claimed.automation_id;

-- name: finish
-- Records how attempts ended. Only the holder of the lease may: a delivery taken over meanwhile keeps its new state.
WITH ended AS (
    SELECT * FROM unnest(
        CAST(:tenant_ids AS uuid[]), CAST(:ids AS uuid[]), CAST(:numbers AS integer[]),
        CAST(:started_ats AS timestamptz[]), CAST(:finished_ats AS timestamptz[]), CAST(:outcomes AS text[]),
        CAST(:due_ats AS timestamptz[]), CAST(:status_codes AS integer[]), CAST(:reasons AS text[]),
        CAST(:requests AS jsonb[]), CAST(:answers AS text[]), CAST(:unknowns AS boolean[])
    ) AS ended (
        tenant_id, id, number, started_at, finished_at, outcome, due_at, status_code, reason, request, answer, is_unknown
    )
), recorded AS (
    UPDATE automations.delivery
    SET status = CASE ended.outcome WHEN 'RETRY' THEN 'PENDING' ELSE ended.outcome END,
        due_at = CASE ended.outcome WHEN 'RETRY' THEN ended.due_at END,
        finished_at = CASE ended.outcome WHEN 'RETRY' THEN NULL ELSE ended.finished_at END,
        started_at = ended.started_at,
        lease_until = NULL,
        status_code = ended.status_code,
        reason = ended.reason,
        may_have_arrived = delivery.may_have_arrived OR ended.is_unknown
    FROM ended
    WHERE delivery.tenant_id = ended.tenant_id AND delivery.id = ended.id
        AND delivery.status = 'SENDING' AND delivery.attempt_count = ended.number
    RETURNING ended.*
), kept AS (
    INSERT INTO automations.attempt
        (tenant_id, delivery_id, number, started_at, finished_at, outcome, status_code, reason, request, answer)
    SELECT tenant_id, id, number, started_at, finished_at, outcome, status_code, reason, request, answer FROM recorded
)
SELECT id FROM recorded;

-- name: renew_leases!
UPDATE automations.delivery SET lease_until = :lease_until
FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:ids AS uuid[]), CAST(:numbers AS integer[])) AS held (tenant_id, id, number)
WHERE delivery.tenant_id = held.tenant_id AND delivery.id = held.id
    AND delivery.status = 'SENDING' AND delivery.attempt_count = held.number;

-- name: give_back!
-- Leases that were not used: as if they had never been taken.
UPDATE automations.delivery SET status = 'PENDING', due_at = :now, lease_until = NULL, attempt_count = delivery.attempt_count - 1
FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:ids AS uuid[]), CAST(:numbers AS integer[])) AS held (tenant_id, id, number)
WHERE delivery.tenant_id = held.tenant_id AND delivery.id = held.id
    AND delivery.status = 'SENDING' AND delivery.attempt_count = held.number;

-- name: take_over
-- Deliveries whose process died: tried again at once, and the attempt whose end nobody saw is kept as LOST.
WITH expired AS (
    SELECT tenant_id, id FROM automations.delivery
    WHERE status = 'SENDING' AND lease_until < :now
    ORDER BY lease_until LIMIT 1000
    FOR UPDATE SKIP LOCKED
), lost AS (
    UPDATE automations.delivery
    SET status = CASE WHEN delivery.attempt_count < :most_attempts THEN 'PENDING' ELSE 'FAILED' END,
        due_at = CASE WHEN delivery.attempt_count < :most_attempts THEN CAST(:now AS timestamptz) END,
        finished_at = CASE WHEN delivery.attempt_count < :most_attempts THEN NULL ELSE CAST(:now AS timestamptz) END,
        lease_until = NULL,
        may_have_arrived = true,
        status_code = NULL,
        reason = 'The process that was sending it stopped before it could record the outcome' || CASE
            WHEN delivery.attempt_count < :most_attempts THEN '' ELSE '; gave up after ' || delivery.attempt_count || ' attempts'
        END
    FROM expired
    WHERE delivery.tenant_id = expired.tenant_id AND delivery.id = expired.id
    RETURNING delivery.tenant_id, delivery.id, delivery.attempt_count, delivery.started_at, delivery.reason
), kept AS (
    INSERT INTO automations.attempt (tenant_id, delivery_id, number, started_at, finished_at, outcome, reason)
    SELECT tenant_id, id, attempt_count, started_at, :now, 'LOST', reason FROM lost
)
SELECT id FROM lost;
