-- Puts every committed state change on the queue, in the transaction that made it. A statement trigger, so that a
-- batch costs one call. SECURITY DEFINER: whoever writes states needs no rights in this schema.
--
-- Wake-up: an evaluator that is about to sleep holds this advisory lock alone. Writers share it until they commit,
-- and only one that cannot get it has somebody to wake: under load no commit pays for NOTIFY.

CREATE FUNCTION automations.capture_state_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO automations.state_change (tenant_id, flow_run_id, flow_run_state_id, state, caused_by)
    SELECT added.tenant_id, added.flow_run_id, added.id, lower(added.state),
        nullif(current_setting('automations.caused_by', true), '')::uuid
    FROM added;
    IF NOT pg_try_advisory_xact_lock_shared(7305804402) THEN
        PERFORM pg_notify('automations_state_change', '');
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER automations_capture AFTER INSERT ON public.flow_run_state
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION automations.capture_state_change();
