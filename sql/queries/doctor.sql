-- name: only_read!
-- Whatever is asked on this connection from here on changes nothing.
SELECT set_config('default_transaction_read_only', 'on', false);

-- name: server^
SELECT CAST(current_setting('server_version_num') AS integer) AS number, current_setting('server_version') AS version,
    clock_timestamp() AS now;

-- name: has_watched_tables$
SELECT to_regclass('public.flow_run') IS NOT NULL;

-- name: dead_triggers$
-- Which of our triggers on states do not fire for what an ordinary connection writes.
SELECT coalesce(array_agg(needed.name ORDER BY needed.name), '{}')
FROM (VALUES ('automations_capture'), ('automations_note')) AS needed (name)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_trigger
    WHERE tgrelid = to_regclass('public.flow_run_state') AND tgname = needed.name AND tgenabled IN ('O', 'A')
);

-- name: missing_privileges$
-- What this account would have to be allowed and is not. An existing backend's tables are only read, but for the lock
-- that holds a run while it is judged late.
SELECT coalesce(array_agg(privilege || ' on ' || place ORDER BY place, privilege), '{}')
FROM (
    SELECT privilege, CAST(class.oid::regclass AS text) AS place
    FROM pg_catalog.pg_class AS class
    CROSS JOIN LATERAL unnest(CASE
        WHEN relnamespace = to_regnamespace('automations') OR NOT CAST(:is_attached AS boolean)
            THEN ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']
        WHEN relname = 'flow_run' THEN ARRAY['SELECT', 'UPDATE']
        WHEN relname = 'flow_run_state' THEN ARRAY['SELECT', 'TRIGGER']
        ELSE ARRAY['SELECT']
    END) AS privilege
    WHERE relkind IN ('r', 'p') AND NOT has_table_privilege(class.oid, privilege)
        AND (
            relnamespace = to_regnamespace('automations')
            OR relnamespace = to_regnamespace('public') AND relname IN (
                'tenant', 'project', 'flow_group', 'flow', 'task', 'edge', 'flow_run', 'flow_run_state', 'task_run',
                'task_run_state', 'agent', 'agent_config', 'log'
            )
        )
        -- For a lock, any column will do.
        AND NOT (
            CAST(:is_attached AS boolean) AND relname = 'flow_run' AND privilege = 'UPDATE'
            AND has_any_column_privilege(class.oid, 'UPDATE')
        )
    UNION ALL
    SELECT 'CREATE', 'the database'
    WHERE to_regnamespace('automations') IS NULL AND NOT has_database_privilege(current_database(), 'CREATE')
) AS missing;

-- name: flows_without_tenant$
SELECT count(*) FROM public.flow WHERE tenant_id IS NULL AND automations.tenant_of_flow(id) IS NULL;

-- name: actions_on_runs$
-- Actions that only an existing backend's API can carry out.
SELECT count(*) FROM automations.action WHERE deleted_at IS NULL AND action_type = ANY(CAST(:types AS text[]));
