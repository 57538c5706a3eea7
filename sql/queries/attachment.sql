-- name: is_attached$
-- Whether the watched tables belong to an existing backend.
SELECT EXISTS (SELECT FROM automations.migration WHERE set_name = 'orchestration' AND version = 0);

-- name: watched_columns
-- The tables in public and their columns.
SELECT CAST(class.relname AS text) AS table_name, array_agg(CAST(attribute.attname AS text)) AS columns
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid
WHERE class.relnamespace = 'public'::regnamespace AND class.relkind IN ('r', 'p')
    AND attribute.attnum > 0 AND NOT attribute.attisdropped
GROUP BY class.relname;

-- name: missing_columns$
-- What a backend must have for us to watch it, and this one does not.
SELECT coalesce(array_agg(needed.table_name || '.' || column_name ORDER BY needed.table_name, column_name), '{}')
FROM (VALUES
    ('tenant', '{id,created,updated,name,slug,settings}'),
    ('project', '{id,tenant_id,created,updated,name,description}'),
    ('flow_group', '{id,tenant_id,created,updated,name,settings,default_parameters}'),
    ('flow', '{id,tenant_id,created,updated,version,name,project_id,flow_group_id,archived,is_schedule_active,settings}'),
    ('task', '{id,tenant_id,created,updated,flow_id,slug,max_retries,mapped,tags}'),
    ('edge', '{id,tenant_id,created,updated,flow_id,upstream_task_id,downstream_task_id,mapped}'),
    ('flow_run', '{id,tenant_id,created,updated,flow_id,name,version,state,state_message,scheduled_start_time,'
        'auto_scheduled,times_resurrected,idempotency_key,labels}'),
    ('flow_run_state', '{id,tenant_id,created,updated,flow_run_id,timestamp,state,message,start_time,serialized_state,'
        'version}'),
    ('task_run', '{id,tenant_id,created,updated,flow_run_id,task_id,map_index,version}'),
    ('task_run_state', '{id,tenant_id,created,updated,task_run_id,timestamp,state,serialized_state,version}'),
    ('agent', '{id,tenant_id,created,updated,agent_config_id,labels,last_queried}'),
    ('agent_config', '{id,tenant_id,created,updated,name,settings}'),
    ('log', '{id,tenant_id,flow_run_id,timestamp,message}')
) AS needed (table_name, columns)
CROSS JOIN LATERAL unnest(CAST(needed.columns AS text[])) AS column_name
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_attribute AS attribute
    WHERE attribute.attrelid = to_regclass('public.' || needed.table_name) AND attribute.attname = column_name
        AND attribute.attnum > 0 AND NOT attribute.attisdropped
);

-- name: has_tenant$
SELECT EXISTS (SELECT FROM public.tenant);

-- name: wait_briefly!
-- Whoever waits for a lock on a table of theirs holds up all who come after.
SELECT set_config('lock_timeout', '5s', false);

-- name: has_schema$
SELECT to_regclass('automations.migration') IS NOT NULL;

-- name: connected_servers$
-- How many other connections of ours there are to this database.
SELECT count(*) FROM pg_catalog.pg_stat_activity
WHERE datname = current_database() AND application_name = 'automations' AND pid <> pg_backend_pid();

-- name: what_goes^
-- How much there is of what people would miss.
SELECT (SELECT count(*) FROM automations.automation WHERE deleted_at IS NULL) AS automations,
    (SELECT count(*) FROM automations.action WHERE deleted_at IS NULL AND NOT inline) AS saved_actions,
    (SELECT count(*) FROM automations.flow_sla_config WHERE deleted_at IS NULL AND NOT inline) AS slas,
    (SELECT count(*) FROM automations.secret) AS secrets,
    (SELECT count(*) FROM automations.api_key WHERE deleted_at IS NULL) AS api_keys,
    (SELECT count(*) FROM automations.delivery) AS deliveries,
    (SELECT count(*) FROM automations.delivery WHERE status IN ('PENDING', 'SENDING')) AS unsent,
    (SELECT count(*) FROM automations.audit_event) AS audit_events;

-- name: own_triggers
-- Our triggers on their tables.
SELECT CAST(tgname AS text) AS name, CAST(tgrelid::regclass AS text) AS table_name
FROM pg_catalog.pg_trigger
JOIN pg_catalog.pg_proc ON pg_proc.oid = tgfoid
JOIN pg_catalog.pg_class ON pg_class.oid = tgrelid
WHERE NOT tgisinternal AND pronamespace = 'automations'::regnamespace AND relnamespace <> 'automations'::regnamespace
ORDER BY tgname;

-- name: dependents$
-- What somebody made outside our schema that needs something in it, other than our own triggers.
SELECT coalesce(array_agg(DISTINCT place.type || ' ' || place.identity), '{}')
FROM pg_catalog.pg_depend AS link
JOIN (
    SELECT 'pg_class'::regclass AS catalog, oid FROM pg_catalog.pg_class WHERE relnamespace = 'automations'::regnamespace
    UNION ALL
    SELECT 'pg_proc'::regclass, oid FROM pg_catalog.pg_proc WHERE pronamespace = 'automations'::regnamespace
    UNION ALL
    SELECT 'pg_type'::regclass, oid FROM pg_catalog.pg_type WHERE typnamespace = 'automations'::regnamespace
) AS ours ON ours.catalog = link.refclassid AND ours.oid = link.refobjid
CROSS JOIN LATERAL pg_catalog.pg_identify_object(link.classid, link.objid, link.objsubid) AS place
WHERE link.deptype = 'n' AND place.schema IS DISTINCT FROM 'automations'
    AND place.identity !~ '(^for| on) automations\.'
    AND NOT (place.type = 'trigger' AND place.identity LIKE 'automations\_%');

-- name: detach#
DROP TRIGGER IF EXISTS automations_capture ON public.flow_run_state;
DROP TRIGGER IF EXISTS automations_note ON public.flow_run_state;
DROP SCHEMA automations CASCADE;
