-- name: plan_for_all_values!
-- One plan whatever the values are, and by indexes: the tables are large, or will be.
SELECT set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false);

-- name: forget_plans!
DISCARD PLANS;

-- name: claim
-- Walks the destinations that have something pending, starting after the one where the last claim stopped, and takes
-- from each what it may still send: a destination with a long or blocked queue costs a few index probes. Together they
-- leave a share of the room free for those that come later.
--
-- A destination has so many places, taken by what is SENDING, whoever claimed it. One process may claim ahead of them,
-- the destination's home, while it is alone there: it sees to it by itself that no more are under way. The others leave
-- a queue to it, and take what has just become due while there are places, or what nobody is there for.
--
-- A destination that has a rate, or is in trouble, is minded: its row is locked, it is given what its rate allows and
-- its process can send at once, or one delivery to try it out. The others need no row.
--
-- Deliveries that are due and have an earlier one before them are put off until something becomes of that one.
--
-- At least one row comes back: it says after which destination the next claim goes on, null for the first again, and
-- when there may be something to claim that is not there yet.
WITH RECURSIVE queue AS (
    (
        SELECT tenant_id, destination, action_type FROM automations.delivery
        WHERE status = 'PENDING' AND (tenant_id, destination) > (CAST(:after_tenant AS uuid), CAST(:after_destination AS text))
        ORDER BY tenant_id, destination LIMIT 1
    )
    UNION ALL
    SELECT next.tenant_id, next.destination, next.action_type
    FROM queue AS last
    CROSS JOIN LATERAL (
        SELECT tenant_id, destination, action_type FROM automations.delivery
        WHERE status = 'PENDING' AND (tenant_id, destination) > (last.tenant_id, last.destination)
        ORDER BY tenant_id, destination LIMIT 1
    ) AS next
), visited AS MATERIALIZED (
    SELECT tenant_id, destination, action_type FROM queue LIMIT :destinations
), fair AS MATERIALIZED (
    SELECT greatest(1, least(CAST(:per_destination AS bigint), :batch / (:sharers + count(*)))) AS share FROM visited
), busy AS (
    SELECT * FROM unnest(
        CAST(:busy_tenants AS uuid[]), CAST(:busy_destinations AS text[]), CAST(:busy_counts AS integer[])
    ) AS busy (tenant_id, destination, taken)
), limited AS (
    SELECT * FROM unnest(
        CAST(:limited_types AS text[]), CAST(:limited_rates AS double precision[]), CAST(:limited_bursts AS integer[])
    ) AS limited (action_type, per_second, burst)
), sized AS (
    SELECT * FROM unnest(CAST(:sized_types AS text[]), CAST(:sized_places AS integer[])) AS sized (action_type, places)
), known AS MATERIALIZED (
    SELECT visited.tenant_id, visited.destination, coalesce(busy.taken, 0) AS taken, limited.per_second, limited.burst,
        coalesce(sized.places, :most_places) AS places,
        abs(CAST(hashtext(visited.tenant_id || visited.destination) AS bigint)) % CAST(:processes AS bigint) = :rank AS is_home,
        own.is_known, limited.per_second IS NOT NULL OR coalesce(own.is_troubled, false) AS is_minded,
        greatest(own.open_until, own.held_until, own.spent_until - make_interval(secs => (burst - 1) / limited.per_second)) AS free_at
    FROM visited
    LEFT JOIN busy ON busy.tenant_id = visited.tenant_id AND busy.destination = visited.destination
    LEFT JOIN limited ON limited.action_type = visited.action_type
    LEFT JOIN sized ON sized.action_type = visited.action_type
    LEFT JOIN LATERAL (
        SELECT true AS is_known, open_until IS NOT NULL OR coalesce(held_until > :now, false) AS is_troubled,
            open_until, held_until, spent_until
        FROM automations.destination
        WHERE destination.tenant_id = visited.tenant_id AND destination.name = visited.destination
        LIMIT 1
    ) AS own ON true
), made AS (
    INSERT INTO automations.destination (tenant_id, name)
    SELECT tenant_id, destination FROM known WHERE is_minded AND is_known IS NULL
    ORDER BY tenant_id, destination
    ON CONFLICT DO NOTHING
), waiting AS MATERIALIZED (
    SELECT known.tenant_id, known.destination, known.places, known.is_minded, due.due_at
    FROM known
    CROSS JOIN fair
    CROSS JOIN LATERAL (
        SELECT due_at FROM automations.delivery
        WHERE status = 'PENDING' AND tenant_id = known.tenant_id AND destination = known.destination AND due_at <= :now
        ORDER BY due_at LIMIT 1
    ) AS due
    WHERE CASE WHEN is_minded THEN is_known AND (free_at IS NULL OR free_at <= :now) ELSE known.taken < fair.share END
), looked_at AS MATERIALIZED (
    SELECT found.tenant_id, found.destination, found.free, found.is_alone
    FROM (
        SELECT array_agg(tenant_id) AS tenants, array_agg(destination) AS destinations, array_agg(places) AS places
        FROM waiting
    ) AS asked
    CROSS JOIN LATERAL automations.look_at_places(:claimer, asked.tenants, asked.destinations, asked.places) AS found
), minded AS MATERIALIZED (
    SELECT known.tenant_id, known.destination, known.per_second, known.burst, own.spent_at,
        own.open_until IS NOT NULL AS is_open, greatest(own.open_until, own.held_until) AS blocked_until,
        known.burst - ceil(extract(epoch FROM own.spent_at - :now) * known.per_second - 0.00001) AS tokens,
        own.open_until IS NOT NULL AND EXISTS (
            SELECT FROM automations.delivery
            WHERE delivery.tenant_id = known.tenant_id AND delivery.id = own.probe_id AND status = 'SENDING'
        ) AS is_tried_out
    FROM waiting
    JOIN known ON known.tenant_id = waiting.tenant_id AND known.destination = waiting.destination
    CROSS JOIN LATERAL (
        SELECT greatest(spent_until, CAST(:now AS timestamptz)) AS spent_at, open_until, held_until, probe_id
        FROM automations.destination
        WHERE destination.tenant_id = waiting.tenant_id AND destination.name = waiting.destination
        FOR UPDATE SKIP LOCKED
    ) AS own
    WHERE waiting.is_minded
), allowed AS MATERIALIZED (
    SELECT known.tenant_id, known.destination, shared.is_shared, CASE
        WHEN NOT known.is_minded AND NOT is_shared THEN fair.share - known.taken
        WHEN NOT known.is_minded THEN CASE
            WHEN known.is_home OR looked_at.is_alone OR waiting.due_at > :now - interval '250 milliseconds' THEN shared.free
            ELSE 0
        END
        WHEN minded.tenant_id IS NULL OR minded.blocked_until > :now OR minded.is_tried_out THEN 0
        WHEN minded.is_open THEN CAST(least(1, minded.tokens, shared.free) AS bigint)
        ELSE CAST(least(minded.tokens, shared.free) AS bigint)
    END AS count
    FROM known
    CROSS JOIN fair
    JOIN waiting ON waiting.tenant_id = known.tenant_id AND waiting.destination = known.destination
    JOIN looked_at ON looked_at.tenant_id = known.tenant_id AND looked_at.destination = known.destination
    CROSS JOIN LATERAL (
        SELECT known.is_minded OR NOT (known.is_home AND looked_at.is_alone) AS is_shared,
            least(looked_at.free, CAST(:places AS integer) - known.taken) AS free
    ) AS shared
    LEFT JOIN minded ON minded.tenant_id = known.tenant_id AND minded.destination = known.destination
), candidate AS MATERIALIZED (
    SELECT due.tenant_id, due.id, due.place, due.due_at, allowed.destination, allowed.is_shared
    FROM allowed
    CROSS JOIN LATERAL (
        SELECT tenant_id, id, ctid AS place, due_at FROM automations.delivery
        WHERE status = 'PENDING' AND tenant_id = allowed.tenant_id AND destination = allowed.destination
            AND due_at <= :now
            AND NOT (is_ordered AND EXISTS (
                SELECT FROM automations.delivery AS earlier
                WHERE earlier.tenant_id = delivery.tenant_id AND earlier.action_id = delivery.action_id
                    AND earlier.subject = delivery.subject AND earlier.id < delivery.id
                    AND earlier.is_ordered AND earlier.status IN ('PENDING', 'SENDING')
            ))
        ORDER BY due_at
        LIMIT greatest(0, allowed.count)
        FOR UPDATE SKIP LOCKED
    ) AS due
    LIMIT :batch
), behind AS MATERIALIZED (
    SELECT own.tenant_id, own.id, earlier.until
    FROM allowed
    CROSS JOIN LATERAL (
        SELECT tenant_id, id, action_id, subject FROM automations.delivery
        WHERE is_ordered AND status = 'PENDING' AND tenant_id = allowed.tenant_id AND destination = allowed.destination
            AND due_at <= :now
        ORDER BY due_at LIMIT 1000
    ) AS due
    CROSS JOIN LATERAL (
        SELECT coalesce(due_at, lease_until) AS until FROM automations.delivery
        WHERE tenant_id = due.tenant_id AND action_id = due.action_id AND subject = due.subject AND id < due.id
            AND is_ordered AND status IN ('PENDING', 'SENDING') AND coalesce(due_at, lease_until) > :now
        ORDER BY id LIMIT 1
        FOR SHARE SKIP LOCKED
    ) AS earlier
    CROSS JOIN LATERAL (
        SELECT tenant_id, id, status FROM automations.delivery
        WHERE tenant_id = due.tenant_id AND id = due.id
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    ) AS own
    WHERE allowed.count > 0 AND own.status = 'PENDING'
), put_off AS (
    UPDATE automations.delivery SET due_at = behind.until
    FROM behind
    WHERE delivery.tenant_id = behind.tenant_id AND delivery.id = behind.id
), spent AS MATERIALIZED (
    SELECT minded.*, coalesce(taken.count, 0) AS count, taken.id AS probe_id,
        minded.spent_at + make_interval(secs => coalesce(taken.count, 0) / minded.per_second) AS spent_until
    FROM minded
    LEFT JOIN (
        SELECT tenant_id, destination, count(*), (array_agg(id))[1] AS id FROM candidate GROUP BY tenant_id, destination
    ) AS taken ON taken.tenant_id = minded.tenant_id AND taken.destination = minded.destination
), paid AS (
    UPDATE automations.destination
    SET spent_until = spent.spent_until, per_second = spent.per_second,
        probe_id = CASE WHEN spent.is_open THEN spent.probe_id END
    FROM spent
    WHERE destination.tenant_id = spent.tenant_id AND destination.name = spent.destination AND spent.count > 0
), claimed AS (
    UPDATE automations.delivery
    SET status = 'SENDING', attempt_count = delivery.attempt_count + 1, due_at = NULL, started_at = :now,
        lease_until = :lease_until, claimed_by = :claimer
    -- By place, which is locked: whatever it takes the candidates for, the planner has no other way to them.
    WHERE delivery.ctid = ANY(ARRAY(SELECT place FROM candidate))
    RETURNING delivery.*
), ahead AS (
    -- The next delivery that becomes due, and the next moment at which a destination may be sent something.
    SELECT min(greatest(next.due_at, known.free_at)) AS look_at
    FROM known
    CROSS JOIN LATERAL (
        SELECT due_at FROM automations.delivery
        WHERE status = 'PENDING' AND tenant_id = known.tenant_id AND destination = known.destination AND due_at > :now
        ORDER BY due_at LIMIT 1
    ) AS next
    UNION ALL
    SELECT min(CASE
        WHEN known.is_known IS NULL THEN CAST(:now AS timestamptz)
        WHEN known.free_at > :now THEN known.free_at
        WHEN waiting.tenant_id IS NULL OR spent.is_tried_out THEN NULL
        WHEN spent.tenant_id IS NULL THEN :now + interval '5 milliseconds'
        WHEN spent.blocked_until > :now THEN spent.blocked_until
        WHEN spent.tokens - spent.count < 1 THEN
            spent.spent_until - make_interval(secs => (spent.burst - 1) / spent.per_second)
    END)
    FROM known
    LEFT JOIN waiting ON waiting.tenant_id = known.tenant_id AND waiting.destination = known.destination
    LEFT JOIN spent ON spent.tenant_id = known.tenant_id AND spent.destination = known.destination
    WHERE known.is_minded
    UNION ALL
    SELECT min(:now + interval '5 milliseconds')
    FROM waiting
    LEFT JOIN looked_at ON looked_at.tenant_id = waiting.tenant_id AND looked_at.destination = waiting.destination
    WHERE looked_at.tenant_id IS NULL
), page AS (
    SELECT fair.share, last.tenant_id AS last_tenant, last.destination AS last_destination,
        (SELECT min(look_at) FROM ahead) AS look_at
    FROM fair LEFT JOIN LATERAL (
        SELECT tenant_id, destination FROM candidate WHERE (SELECT count(*) FROM candidate) = :batch
        UNION ALL
        SELECT tenant_id, destination FROM visited WHERE (SELECT count(*) FROM candidate) < :batch
            AND (SELECT count(*) FROM visited) = :destinations
        ORDER BY tenant_id DESC, destination DESC LIMIT 1
    ) AS last ON true
)
SELECT page.share, page.last_tenant, page.last_destination, page.look_at,
    claimed.tenant_id, claimed.id, claimed.attempt_count AS number, claimed.destination, claimed.created,
    claimed.target, coalesce(claimed.subject, CAST(claimed.action_id AS text)) AS subject, claimed.may_have_arrived,
    claimed.is_test, claimed.automation_id, claimed.action_id, claimed.firing_id, candidate.due_at AS was_due_at,
    claimed.is_ordered OR candidate.is_shared AS is_waited_for,
    action.action_type, action.action_config, firing.event_type, firing.event, firing.traceparent,
    automation.name AS automation_name,
    (
        SELECT jsonb_object_agg(secret.name, encode(secret.sealed, 'base64'))
        FROM automations.secret
        WHERE secret.tenant_id = claimed.tenant_id AND secret.name = ANY(action.used_secrets)
    ) AS sealed_secrets
FROM page
LEFT JOIN claimed ON true
LEFT JOIN candidate ON candidate.tenant_id = claimed.tenant_id AND candidate.id = claimed.id
LEFT JOIN automations.action ON action.tenant_id = claimed.tenant_id AND action.id = claimed.action_id
LEFT JOIN automations.firing ON firing.tenant_id = claimed.tenant_id AND firing.id = claimed.firing_id
LEFT JOIN automations.automation ON automation.tenant_id = claimed.tenant_id AND automation.id = claimed.automation_id;

-- name: finish
-- Records how attempts ended, and what they say about their destinations. Only the holder of a lease may: a delivery
-- taken over meanwhile keeps its new state. Where the order is kept, the next one goes now.
--
-- Deliveries are found by their key and changed by their place. To the planner the index of those that are being sent
-- looks empty as often as not, and it would read all of it once for each.
--
-- So many failures in a row open a destination's circuit; a failure begun after that was a try, and opens it for twice
-- as long; whatever arrives closes it. One that works and has no row costs an index probe.
WITH ended AS (
    SELECT * FROM unnest(
        CAST(:tenant_ids AS uuid[]), CAST(:ids AS uuid[]), CAST(:numbers AS integer[]),
        CAST(:started_ats AS timestamptz[]), CAST(:finished_ats AS timestamptz[]), CAST(:outcomes AS text[]),
        CAST(:due_ats AS timestamptz[]), CAST(:status_codes AS integer[]), CAST(:reasons AS text[]),
        CAST(:requests AS jsonb[]), CAST(:answers AS text[]), CAST(:unknowns AS boolean[]),
        CAST(:healths AS text[]), CAST(:held_untils AS timestamptz[])
    ) AS ended (
        tenant_id, id, number, started_at, finished_at, outcome, due_at, status_code, reason, request, answer,
        is_unknown, health, held_until
    )
), held AS MATERIALIZED (
    SELECT ended.*, own.place
    FROM ended
    CROSS JOIN LATERAL (
        SELECT ctid AS place, status, attempt_count FROM automations.delivery
        WHERE tenant_id = ended.tenant_id AND id = ended.id
        LIMIT 1
        FOR UPDATE
    ) AS own
    WHERE own.status = 'SENDING' AND own.attempt_count = ended.number
), recorded AS (
    UPDATE automations.delivery
    SET status = CASE held.outcome WHEN 'RETRY' THEN 'PENDING' ELSE held.outcome END,
        due_at = CASE held.outcome WHEN 'RETRY' THEN held.due_at END,
        finished_at = CASE held.outcome WHEN 'RETRY' THEN NULL ELSE held.finished_at END,
        started_at = held.started_at,
        lease_until = NULL,
        claimed_by = NULL,
        status_code = held.status_code,
        reason = held.reason,
        may_have_arrived = delivery.may_have_arrived OR held.is_unknown
    FROM held
    WHERE delivery.ctid = held.place
    RETURNING held.*, delivery.destination, delivery.action_id, delivery.subject, delivery.is_ordered
), kept AS (
    INSERT INTO automations.attempt
        (tenant_id, delivery_id, number, started_at, finished_at, outcome, status_code, reason, request, answer)
    SELECT tenant_id, id, number, started_at, finished_at, outcome, status_code, reason, request, answer FROM recorded
), next AS (
    UPDATE automations.delivery SET due_at = :now
    FROM recorded
    CROSS JOIN LATERAL (
        SELECT id FROM automations.delivery AS later
        WHERE later.tenant_id = recorded.tenant_id AND later.action_id = recorded.action_id
            AND later.subject = recorded.subject AND later.id > recorded.id
            AND later.is_ordered AND later.status IN ('PENDING', 'SENDING')
        ORDER BY later.id LIMIT 1
    ) AS later
    WHERE recorded.is_ordered AND recorded.outcome <> 'RETRY' AND delivery.tenant_id = recorded.tenant_id
        AND delivery.id = later.id AND delivery.status = 'PENDING' AND delivery.attempt_count = 0
), troubled AS MATERIALIZED (
    SELECT named.tenant_id, named.destination
    FROM (
        SELECT tenant_id, destination, coalesce(bool_or(health = 'FAILS' OR held_until IS NOT NULL), false) AS is_troubled
        FROM recorded GROUP BY tenant_id, destination
    ) AS named
    LEFT JOIN LATERAL (
        SELECT true AS was_troubled FROM automations.destination
        WHERE destination.tenant_id = named.tenant_id AND destination.name = named.destination
            AND (failures > 0 OR open_until IS NOT NULL)
        LIMIT 1
    ) AS earlier ON NOT named.is_troubled
    WHERE is_troubled OR was_troubled
), spoken AS MATERIALIZED (
    SELECT recorded.tenant_id, recorded.destination, started_at, finished_at, reason, health, held_until
    FROM troubled
    JOIN recorded ON recorded.tenant_id = troubled.tenant_id AND recorded.destination = troubled.destination
    WHERE health IS NOT NULL OR held_until IS NOT NULL
), worked AS (
    SELECT tenant_id, destination, max(finished_at) AS at FROM spoken WHERE health = 'WORKS'
    GROUP BY tenant_id, destination
), met AS MATERIALIZED (
    SELECT spoken.tenant_id, spoken.destination, worked.at IS NOT NULL AS works,
        count(*) FILTER (WHERE is_failure) AS failures, max(spoken.started_at) FILTER (WHERE is_failure) AS failed_at,
        max(spoken.held_until) AS held_until,
        (array_agg(spoken.reason ORDER BY spoken.finished_at DESC)
            FILTER (WHERE is_failure OR spoken.held_until IS NOT NULL))[1] AS reason
    FROM spoken
    LEFT JOIN worked ON worked.tenant_id = spoken.tenant_id AND worked.destination = spoken.destination
    CROSS JOIN LATERAL (
        SELECT health = 'FAILS' AND (worked.at IS NULL OR spoken.finished_at > worked.at) AS is_failure
    ) AS judged
    GROUP BY spoken.tenant_id, spoken.destination, worked.at
), known AS MATERIALIZED (
    SELECT destination.*
    FROM (SELECT * FROM met ORDER BY tenant_id, destination) AS met
    CROSS JOIN LATERAL (
        SELECT * FROM automations.destination
        WHERE destination.tenant_id = met.tenant_id AND destination.name = met.destination
            AND (met.failures > 0 OR met.held_until IS NOT NULL OR failures > 0 OR open_until IS NOT NULL)
        FOR UPDATE
    ) AS destination
), counted AS (
    SELECT met.*, known.open_until, known.openings, known.held_until AS was_held_until, known.reason AS earlier_reason,
        known.open_until IS NOT NULL AND NOT met.works AS is_open,
        met.failures + CASE WHEN met.works THEN 0 ELSE coalesce(known.failures, 0) END AS in_a_row
    FROM met
    LEFT JOIN known ON known.tenant_id = met.tenant_id AND known.name = met.destination
    WHERE known.tenant_id IS NOT NULL OR met.failures > 0 OR met.held_until IS NOT NULL
), opened AS MATERIALIZED (
    SELECT counted.*, judged.opens, CASE
        WHEN opens THEN 1 + CASE WHEN is_open THEN openings ELSE 0 END
        WHEN is_open THEN openings
        ELSE 0
    END AS times
    FROM counted
    CROSS JOIN LATERAL (
        SELECT CASE WHEN is_open THEN coalesce(failed_at >= open_until, false) ELSE in_a_row >= :circuit_failures END AS opens
    ) AS judged
), verdict AS MATERIALIZED (
    SELECT tenant_id, destination, in_a_row, times, opens, CASE
        WHEN opens THEN :now + make_interval(
            secs => least(CAST(:circuit_seconds AS double precision) * power(2, least(times, 20) - 1), :circuit_most_seconds)
        )
        WHEN is_open THEN open_until
    END AS open_until, greatest(held_until, was_held_until) AS held_until,
    coalesce(reason, CASE WHEN NOT works THEN earlier_reason END) AS reason
    FROM opened
), judged AS (
    INSERT INTO automations.destination (tenant_id, name, failures, openings, open_until, held_until, reason)
    SELECT tenant_id, destination, in_a_row, times, open_until, held_until, reason FROM verdict
    ORDER BY tenant_id, destination
    ON CONFLICT (tenant_id, name) DO UPDATE
    SET failures = excluded.failures, openings = excluded.openings, open_until = excluded.open_until,
        held_until = excluded.held_until, reason = excluded.reason, updated = :now
)
SELECT recorded.id, verdict.opens, greatest(verdict.open_until, verdict.held_until) AS blocked_until
FROM recorded
LEFT JOIN verdict ON verdict.tenant_id = recorded.tenant_id AND verdict.destination = recorded.destination;

-- name: pause_actions!
-- Their receiver is gone for good. One whose config was changed since goes on; what still waits for the others is
-- suppressed: somebody who mends the action can send it again.
WITH paused AS (
    UPDATE automations.action
    SET paused_at = coalesce(action.paused_at, :now), paused_reason = coalesce(action.paused_reason, gone.reason)
    FROM unnest(
        CAST(:tenant_ids AS uuid[]), CAST(:action_ids AS uuid[]), CAST(:configs AS jsonb[]), CAST(:reasons AS text[])
    ) AS gone (tenant_id, id, config, reason)
    WHERE action.tenant_id = gone.tenant_id AND action.id = gone.id AND action.action_config = gone.config
    RETURNING action.tenant_id, action.id, action.destination, automations.paused_text(action.paused_at, action.paused_reason) AS reason
)
UPDATE automations.delivery SET status = 'SUPPRESSED', due_at = NULL, finished_at = :now, reason = paused.reason
FROM paused
WHERE delivery.tenant_id = paused.tenant_id AND delivery.destination = paused.destination
    AND delivery.action_id = paused.id AND delivery.status = 'PENDING';

-- name: join_senders!
-- Until this connection ends it stands for a process that sends.
SELECT pg_try_advisory_lock_shared(730580446, pg_backend_pid());

-- name: place_among_senders^
-- How many processes send, and how many of them come before this one.
SELECT count(*) AS processes, count(*) FILTER (WHERE objid < CAST(pg_backend_pid() AS oid)) AS rank
FROM pg_locks
WHERE locktype = 'advisory' AND classid = 730580446 AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database());

-- name: renew_leases
-- Those that are not ours any more come back.
WITH known AS MATERIALIZED (
    SELECT held.id, held.number, own.place, own.status = 'SENDING' AND own.attempt_count = held.number AS is_ours
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:ids AS uuid[]), CAST(:numbers AS integer[])) AS held (tenant_id, id, number)
    CROSS JOIN LATERAL (
        SELECT ctid AS place, status, attempt_count FROM automations.delivery
        WHERE tenant_id = held.tenant_id AND id = held.id
        LIMIT 1
        FOR UPDATE
    ) AS own
), renewed AS (
    UPDATE automations.delivery SET lease_until = :lease_until
    WHERE ctid = ANY(ARRAY(SELECT place FROM known WHERE is_ours))
)
SELECT id, number FROM known WHERE NOT is_ours;

-- name: give_back!
-- Leases that were not used: as if they had never been taken, unless the action was paused meanwhile.
WITH unused AS MATERIALIZED (
    SELECT held.due_at, held.tenant_id, held.action_id, own.place
    FROM unnest(
        CAST(:tenant_ids AS uuid[]), CAST(:ids AS uuid[]), CAST(:numbers AS integer[]), CAST(:due_ats AS timestamptz[]),
        CAST(:action_ids AS uuid[])
    ) AS held (tenant_id, id, number, due_at, action_id)
    CROSS JOIN LATERAL (
        SELECT ctid AS place, status, attempt_count FROM automations.delivery
        WHERE tenant_id = held.tenant_id AND id = held.id
        LIMIT 1
        FOR UPDATE
    ) AS own
    WHERE own.status = 'SENDING' AND own.attempt_count = held.number
)
UPDATE automations.delivery
SET status = CASE WHEN action.paused_at IS NULL THEN 'PENDING' ELSE 'SUPPRESSED' END,
    due_at = CASE WHEN action.paused_at IS NULL THEN unused.due_at END,
    finished_at = CASE WHEN action.paused_at IS NOT NULL THEN CAST(:now AS timestamptz) END,
    reason = coalesce(automations.paused_text(action.paused_at, action.paused_reason), delivery.reason),
    lease_until = NULL,
    claimed_by = NULL,
    attempt_count = delivery.attempt_count - 1
FROM unused
LEFT JOIN automations.action ON action.tenant_id = unused.tenant_id AND action.id = unused.action_id
WHERE delivery.ctid = unused.place;

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
        claimed_by = NULL,
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
