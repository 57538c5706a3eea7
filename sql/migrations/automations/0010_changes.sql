-- Which rows changed, for the processes whose subscribers have to hear of it. Where no process has any, a statement
-- pays for one look at an empty table and nothing is written: no row and no NOTIFY, which would cost every commit a
-- lock that all share. Both tables are unlogged: after a crash of PostgreSQL listeners find theirs gone and know that
-- they may have missed something.

CREATE UNLOGGED TABLE automations.change_listener (
    id uuid PRIMARY KEY DEFAULT automations.new_id(),
    seen pg_snapshot NOT NULL,
    listens_until timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE automations.change_listener IS 'Processes that have subscribers';
COMMENT ON COLUMN automations.change_listener.seen IS 'What it has read: changes that are visible in it';
COMMENT ON COLUMN automations.change_listener.listens_until IS 'A process that does not say that it is alive is not written for';

CREATE UNLOGGED TABLE automations.change (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    table_name text NOT NULL CHECK (table_name IN ('automation', 'delivery', 'flow_run')),
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    automation_id uuid
);
CREATE INDEX change_xid ON automations.change (xid);
COMMENT ON TABLE automations.change IS 'Rows that changed while somebody listened, until all listeners have read of them';
COMMENT ON COLUMN automations.change.xid IS 'The transaction: a listener reads those that its last snapshot did not show';
COMMENT ON COLUMN automations.change.automation_id IS 'Of a delivery';

CREATE FUNCTION automations.note_automations() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT FROM automations.change_listener WHERE listens_until > clock_timestamp()) THEN
        INSERT INTO automations.change (table_name, tenant_id, id) SELECT 'automation', tenant_id, id FROM noted;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER automations_note_added AFTER INSERT ON automations.automation
    REFERENCING NEW TABLE AS noted FOR EACH STATEMENT EXECUTE FUNCTION automations.note_automations();
CREATE TRIGGER automations_note_changed AFTER UPDATE ON automations.automation
    REFERENCING NEW TABLE AS noted FOR EACH STATEMENT EXECUTE FUNCTION automations.note_automations();

CREATE FUNCTION automations.note_deliveries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT FROM automations.change_listener WHERE listens_until > clock_timestamp()) THEN
        INSERT INTO automations.change (table_name, tenant_id, id, automation_id)
        SELECT 'delivery', tenant_id, id, automation_id FROM noted;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER automations_note_added AFTER INSERT ON automations.delivery
    REFERENCING NEW TABLE AS noted FOR EACH STATEMENT EXECUTE FUNCTION automations.note_deliveries();
CREATE TRIGGER automations_note_changed AFTER UPDATE ON automations.delivery
    REFERENCING NEW TABLE AS noted FOR EACH STATEMENT EXECUTE FUNCTION automations.note_deliveries();

-- A run changes with its states. An existing backend may leave a state's tenant out, then the run's counts.
CREATE FUNCTION automations.note_flow_runs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT FROM automations.change_listener WHERE listens_until > clock_timestamp()) THEN
        INSERT INTO automations.change (table_name, tenant_id, id)
        SELECT DISTINCT 'flow_run', coalesce(noted.tenant_id, run.tenant_id), run.id
        FROM noted JOIN public.flow_run AS run ON run.id = noted.flow_run_id
        WHERE coalesce(noted.tenant_id, run.tenant_id) IS NOT NULL;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER automations_note AFTER INSERT ON public.flow_run_state
    REFERENCING NEW TABLE AS noted FOR EACH STATEMENT EXECUTE FUNCTION automations.note_flow_runs();
