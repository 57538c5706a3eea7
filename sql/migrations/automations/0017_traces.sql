-- Where a trace goes on: from the request that changed a state to its evaluation, and from there to the attempts,
-- which may be another process's. Null, and without cost, where nobody asked for traces.

ALTER TABLE automations.state_change ADD COLUMN traceparent text;
COMMENT ON COLUMN automations.state_change.traceparent IS 'The span that made this change (W3C Trace Context)';

ALTER TABLE automations.firing ADD COLUMN traceparent text;
COMMENT ON COLUMN automations.firing.traceparent IS 'The span that it fired in: its attempts are the next ones';

CREATE OR REPLACE FUNCTION automations.capture_state_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    set_traceparent CONSTANT text := nullif(current_setting('automations.traceparent', true), '');
BEGIN
    INSERT INTO automations.state_change (tenant_id, flow_run_id, flow_run_state_id, state, caused_by, traceparent)
    SELECT added.tenant_id, added.flow_run_id, added.id, lower(added.state),
        nullif(current_setting('automations.caused_by', true), '')::uuid, set_traceparent
    FROM added;
    IF NOT pg_try_advisory_xact_lock_shared(7305804402) THEN
        PERFORM pg_notify('automations_state_change', '');
    END IF;
    RETURN NULL;
END
$$;
