-- name: set_up!
-- After connecting, since PgBouncer refuses settings at the start of a connection that it does not know.
SELECT set_config(name, value, false)
FROM unnest(CAST(:names AS text[]), CAST(:values AS text[])) AS setting (name, value);

-- name: set_traceparent!
-- The state changes and firings of this transaction belong to a trace.
SELECT set_config('automations.traceparent', :traceparent, true);

-- name: session$
SELECT pg_backend_pid();

-- name: is_prepared$
SELECT EXISTS (SELECT FROM pg_prepared_statements WHERE name = :name);

-- name: forget_prepared!
DEALLOCATE ALL;
