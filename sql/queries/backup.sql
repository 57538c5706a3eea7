-- name: is_empty$
-- Whether nothing of ours or of anybody's is there yet.
SELECT to_regnamespace('automations') IS NULL AND NOT EXISTS (
    SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
);
