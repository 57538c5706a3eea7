-- Audit events are removed by retention alone, which says so; everybody else is refused as before.

CREATE OR REPLACE FUNCTION automations.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('automations.is_retention', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'audit events are never changed or removed';
END
$$;

CREATE INDEX idempotency_key_created ON automations.idempotency_key (tenant_id, created);
