-- name: register_listener^
-- From here on changes are noted. One that was not yet visible when it registered, it reads.
INSERT INTO automations.change_listener (seen, listens_until)
VALUES (pg_current_snapshot(), clock_timestamp() + :seconds * interval '1 second')
RETURNING id, CAST(seen AS text) AS seen;

-- name: renew_listener$
-- Says what was read and that it is alive. Null where it had lapsed: what changed meanwhile was not noted.
UPDATE automations.change_listener
SET seen = CAST(CAST(:seen AS text) AS pg_snapshot),
    listens_until = clock_timestamp() + :seconds * interval '1 second'
WHERE id = :id AND listens_until > clock_timestamp()
RETURNING true;

-- name: forget_listener!
DELETE FROM automations.change_listener WHERE id = :id;

-- name: read_changes^
-- What is visible now and was not in the last snapshot: each change once and in none too few, in whatever order
-- transactions end. `seen` is the snapshot for the next time.
SELECT CAST(pg_current_snapshot() AS text) AS seen, (
    SELECT CAST(json_agg(json_build_array(table_name, tenant_id, id, automation_id)) AS text)
    FROM (
        SELECT DISTINCT table_name, tenant_id, id, automation_id
        FROM automations.change
        WHERE xid >= pg_snapshot_xmin(CAST(CAST(:seen AS text) AS pg_snapshot))
            AND NOT pg_visible_in_snapshot(xid, CAST(CAST(:seen AS text) AS pg_snapshot))
    ) AS fresh
) AS changes;

-- name: prune_changes!
-- Takes out what every listener has read, and listeners that have been silent for an hour.
WITH gone AS (
    DELETE FROM automations.change_listener WHERE listens_until < clock_timestamp() - interval '1 hour'
)
DELETE FROM automations.change
WHERE xid < (
    SELECT pg_snapshot_xmin(seen) FROM automations.change_listener
    WHERE listens_until > clock_timestamp() ORDER BY pg_snapshot_xmin(seen) LIMIT 1
);
