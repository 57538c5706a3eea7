-- What people set up: actions, automations and the secrets they use. Rows that the ledger speaks of are never
-- removed, only marked: what was owed when an automation was deleted is still sent.

-- Ids that grow with time (UUID version 7, RFC 9562): new rows share pages of their indexes, which at the ledger's
-- pace halves what is written. PostgreSQL 18 has them built in.
DO $do$
BEGIN
    IF to_regprocedure('pg_catalog.uuidv7()') IS NOT NULL THEN
        CREATE FUNCTION automations.new_id() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
            AS 'SELECT pg_catalog.uuidv7()';
    ELSE
        CREATE FUNCTION automations.new_id() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
            SELECT encode(
                set_bit(set_bit(overlay(
                    uuid_send(gen_random_uuid())
                    PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                    FROM 1 FOR 6
                ), 52, 1), 53, 1),
                'hex'
            )::uuid
        $$;
    END IF;
END
$do$;

CREATE TABLE automations.action (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT automations.new_id(),
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    name text,
    action_type text NOT NULL,
    action_config jsonb NOT NULL,
    inline boolean NOT NULL DEFAULT false,
    destination text NOT NULL,
    used_secrets text[] NOT NULL DEFAULT '{}',
    idempotency_key text,
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, idempotency_key)
);
COMMENT ON COLUMN automations.action.inline IS 'Made inside an automation and deleted with it';
COMMENT ON COLUMN automations.action.destination IS 'What is rate-limited and isolated: a host, a secret URL, an account';
COMMENT ON COLUMN automations.action.used_secrets IS 'Names of the secrets that the config refers to';

CREATE TABLE automations.automation (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT automations.new_id(),
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    name text NOT NULL,
    description text,
    enabled boolean NOT NULL DEFAULT true,
    event_type text NOT NULL
        CHECK (event_type IN ('FlowRunStateChangedEvent', 'FlowSLAFailedEvent', 'AgentSLAFailedEvent')),
    event jsonb NOT NULL,
    event_tags jsonb NOT NULL,
    idempotency_key text,
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, idempotency_key)
);
COMMENT ON COLUMN automations.automation.event IS 'The inner object of the event key, with names made canonical';
COMMENT ON COLUMN automations.automation.event_tags IS 'The same as an object of lists, as existing clients read and filter it';

CREATE TABLE automations.automation_action (
    tenant_id uuid NOT NULL,
    automation_id uuid NOT NULL,
    position integer NOT NULL,
    action_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, automation_id, position),
    FOREIGN KEY (tenant_id, automation_id) REFERENCES automations.automation,
    FOREIGN KEY (tenant_id, action_id) REFERENCES automations.action
);
CREATE INDEX automation_action_action ON automations.automation_action (tenant_id, action_id);

-- The rules as the evaluator asks for them; kept by the writes to automations. The nil UUID stands for "all".
CREATE TABLE automations.automation_match (
    tenant_id uuid NOT NULL,
    state text NOT NULL CHECK (state = lower(state)),
    flow_group_id uuid NOT NULL,
    project_id uuid NOT NULL,
    automation_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, state, flow_group_id, project_id, automation_id),
    FOREIGN KEY (tenant_id, automation_id) REFERENCES automations.automation
);
CREATE INDEX automation_match_automation ON automations.automation_match (tenant_id, automation_id);

CREATE TABLE automations.secret (
    tenant_id uuid NOT NULL,
    name text NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    sealed bytea NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
COMMENT ON COLUMN automations.secret.sealed IS 'AES-256-GCM, bound to tenant_id and name';

-- An automation's actions in their order, as the API reads them.
CREATE VIEW automations.automation_step AS
SELECT step.automation_id, step.position, action.*
FROM automations.automation_action AS step
JOIN automations.action ON action.tenant_id = step.tenant_id AND action.id = step.action_id;

-- What keeps an action from working, in words.
CREATE FUNCTION automations.missing_secret_problems(tenant uuid, names text[]) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(format('The secret "%s" does not exist; sending fails until it is set.', used.name)), '{}')
    FROM unnest(names) AS used (name)
    WHERE NOT EXISTS (SELECT FROM automations.secret WHERE secret.tenant_id = tenant AND secret.name = used.name)
$$;
