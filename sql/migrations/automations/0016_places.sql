-- How many deliveries may be under way to a destination holds for all processes together.

ALTER TABLE automations.delivery ADD COLUMN claimed_by uuid;
COMMENT ON COLUMN automations.delivery.claimed_by IS 'The process that sends it: one number for each start';

CREATE INDEX delivery_under_way ON automations.delivery (tenant_id, destination, claimed_by) WHERE status = 'SENDING';

-- Of the destinations that nobody else looks at in this moment, how many of their places are free, and whether
-- everything that is claimed of them is the claimer's. Nobody else claims there until the transaction ends: that takes
-- what others have committed by now, and so a statement of its own after the locks.
CREATE FUNCTION automations.look_at_places(claimer uuid, tenants uuid[], destinations text[], places integer[])
RETURNS TABLE (tenant_id uuid, destination text, free bigint, is_alone boolean) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    is_ours boolean[];
BEGIN
    is_ours := ARRAY(
        SELECT pg_try_advisory_xact_lock(730580445, hashtext(asked.tenant || asked.name))
        FROM unnest(tenants, destinations) WITH ORDINALITY AS asked (tenant, name, place) ORDER BY place
    );
    RETURN QUERY
    SELECT asked.tenant, asked.name, asked.places - (
        SELECT count(*) FROM (
            SELECT FROM automations.delivery
            WHERE status = 'SENDING' AND delivery.tenant_id = asked.tenant AND delivery.destination = asked.name
            LIMIT asked.places
        ) AS taken
    ), NOT (
        EXISTS (
            SELECT FROM automations.delivery WHERE status = 'SENDING' AND delivery.tenant_id = asked.tenant
                AND delivery.destination = asked.name AND claimed_by < claimer
        ) OR EXISTS (
            SELECT FROM automations.delivery WHERE status = 'SENDING' AND delivery.tenant_id = asked.tenant
                AND delivery.destination = asked.name AND claimed_by > claimer
        ) OR EXISTS (
            SELECT FROM automations.delivery WHERE status = 'SENDING' AND delivery.tenant_id = asked.tenant
                AND delivery.destination = asked.name AND claimed_by IS NULL
        )
    )
    FROM unnest(tenants, destinations, places, is_ours) AS asked (tenant, name, places, is_ours)
    WHERE asked.is_ours;
END
$$;
