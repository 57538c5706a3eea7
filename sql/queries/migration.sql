-- name: server_version$
SELECT current_setting('server_version_num');

-- name: try_lock$
-- One process migrates at a time; the key is this project's own.
SELECT pg_try_advisory_lock(7305804401);

-- name: unlock^
SELECT pg_advisory_unlock(7305804401);

-- name: create_ledger#
CREATE SCHEMA IF NOT EXISTS automations;
CREATE TABLE IF NOT EXISTS automations.migration (
    set_name text NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (set_name, version)
);
COMMENT ON TABLE automations.migration IS 'What was applied; version 0 of a set says that its tables belong to somebody else';
DO $$
BEGIN
    -- Looked at first: to alter the table would wait for whoever reads it, such as a backup.
    IF NOT EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = 'automations.migration'::regclass AND attname = 'oldest_program'
    ) THEN
        ALTER TABLE automations.migration ADD COLUMN oldest_program integer;
        COMMENT ON COLUMN automations.migration.oldest_program IS
            'The migration that a program has to know to go on with this one: 0 where any does, null where nobody said';
    END IF;
END
$$;

-- name: watched_tables_are_foreign$
-- Tables that are there although no migration of ours made them.
SELECT to_regclass('public.flow_run') IS NOT NULL
    AND NOT EXISTS (SELECT FROM automations.migration WHERE set_name = 'orchestration');

-- name: leave_watched_tables!
INSERT INTO automations.migration (set_name, version, name, checksum) VALUES ('orchestration', 0, 'external', '');

-- name: applied
-- Whether or not the list has the column yet: the doctor only looks.
SELECT version, name, checksum, (to_jsonb(migration) ->> 'oldest_program')::integer AS oldest_program
FROM automations.migration WHERE set_name = :set_name ORDER BY version;

-- name: record!
INSERT INTO automations.migration (set_name, version, name, checksum, oldest_program)
VALUES (:set_name, :version, :name, :checksum, :oldest_program);
