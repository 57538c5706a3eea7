-- Who changed what people set up. Triggers write it, so that no way of changing a definition is without a trace, in the
-- transaction of the change.

CREATE TABLE automations.audit_event (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT automations.new_id(),
    created timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    key_id uuid,
    operation text,
    change text NOT NULL CHECK (change IN ('CREATED', 'CHANGED', 'DELETED')),
    table_name text NOT NULL,
    row_id text NOT NULL,
    before jsonb,
    after jsonb,
    PRIMARY KEY (tenant_id, id),
    CHECK ((change = 'CREATED') = (before IS NULL) AND (change = 'DELETED') = (after IS NULL))
);
CREATE INDEX audit_event_row ON automations.audit_event (tenant_id, table_name, row_id, id);
COMMENT ON COLUMN automations.audit_event.actor IS 'Name of the API key; unauthenticated, command line, or an account of the database';
COMMENT ON COLUMN automations.audit_event.operation IS 'The mutation or command; null where SQL was sent by hand';
COMMENT ON COLUMN automations.audit_event.row_id IS 'Id of the row; of a secret, its name; of actions of an automation, the automation';

CREATE FUNCTION automations.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit events are never changed or removed';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON automations.audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION automations.refuse_audit_change();

-- A row as the audit shows it: without what may be a secret, and without what follows from other columns. An action
-- may carry a key of its own inside: its destination still tells where it goes.
CREATE FUNCTION automations.audited(row_ jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT row_ - ARRAY[
            'sealed', 'hash', 'last_used_at', 'updated', 'deleted_at', 'idempotency_key', 'event_tags', 'targets',
            'is_ordered', 'used_secrets', 'paused_at', 'paused_reason'
        ]
        || CASE WHEN row_ ? 'action_config' THEN jsonb_build_object('action_config', (
            SELECT coalesce(jsonb_object_agg(
                key, CASE WHEN key IN ('routing_key', 'url', 'headers') THEN '"(hidden)"' ELSE value END
            ), '{}')
            FROM jsonb_each(row_ -> 'action_config')
        )) ELSE '{}' END
$$;

CREATE FUNCTION automations.write_audit_event(
    tenant uuid, table_name text, row_id text, before jsonb, after jsonb
) RETURNS void LANGUAGE sql SET search_path = pg_catalog AS $$
    INSERT INTO automations.audit_event
        (tenant_id, actor, key_id, operation, change, table_name, row_id, before, after)
    VALUES (
        tenant,
        coalesce(nullif(current_setting('automations.actor', true), ''), 'database account ' || session_user),
        nullif(current_setting('automations.key_id', true), '')::uuid,
        nullif(current_setting('automations.operation', true), ''),
        CASE WHEN before IS NULL THEN 'CREATED' WHEN after IS NULL THEN 'DELETED' ELSE 'CHANGED' END,
        table_name, row_id, before, after
    )
$$;

-- A row that is marked as deleted is gone for those who look at it, and one that is born so was never there. What the
-- program notes by itself (that a key was used, that an action is paused) is no change of a definition.
CREATE FUNCTION automations.audit_row() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    any_row jsonb := coalesce(new_row, old_row);
    unnoticed CONSTANT text[] := ARRAY['updated', 'last_used_at', 'paused_at', 'paused_reason'];
BEGIN
    IF old_row ->> 'deleted_at' IS NOT NULL THEN old_row := NULL; END IF;
    IF new_row ->> 'deleted_at' IS NOT NULL THEN new_row := NULL; END IF;
    IF old_row - unnoticed IS DISTINCT FROM new_row - unnoticed THEN
        PERFORM automations.write_audit_event(
            (any_row ->> 'tenant_id')::uuid, TG_TABLE_NAME, coalesce(any_row ->> 'id', any_row ->> 'name'),
            automations.audited(old_row), automations.audited(new_row)
        );
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON automations.automation
    FOR EACH ROW EXECUTE FUNCTION automations.audit_row();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON automations.action
    FOR EACH ROW EXECUTE FUNCTION automations.audit_row();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON automations.secret
    FOR EACH ROW EXECUTE FUNCTION automations.audit_row();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON automations.flow_sla_config
    FOR EACH ROW EXECUTE FUNCTION automations.audit_row();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON automations.flow_group_sla
    FOR EACH ROW EXECUTE FUNCTION automations.audit_row();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON automations.api_key
    FOR EACH ROW EXECUTE FUNCTION automations.audit_row();

-- Which actions an automation has is written as a whole, in their order.
CREATE FUNCTION automations.audit_actions() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    PERFORM automations.write_audit_event(
        step.tenant_id, TG_TABLE_NAME, step.automation_id::text,
        CASE WHEN TG_OP = 'DELETE' THEN step.action_ids END, CASE WHEN TG_OP = 'INSERT' THEN step.action_ids END
    )
    FROM (
        SELECT tenant_id, automation_id, jsonb_build_object('action_ids', jsonb_agg(action_id ORDER BY position)) AS action_ids
        FROM changed
        GROUP BY tenant_id, automation_id
    ) AS step;
    RETURN NULL;
END
$$;

CREATE TRIGGER audit_added AFTER INSERT ON automations.automation_action
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION automations.audit_actions();
CREATE TRIGGER audit_removed AFTER DELETE ON automations.automation_action
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION automations.audit_actions();
