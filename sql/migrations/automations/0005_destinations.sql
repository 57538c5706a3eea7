-- How fast a destination may be sent to, and whether it works: shared by all processes, so that neither a second one
-- nor a restart sends faster or forgets that a destination is down. One that is unlimited and healthy has no row.

CREATE TABLE automations.destination (
    tenant_id uuid NOT NULL,
    name text NOT NULL,
    id uuid NOT NULL DEFAULT automations.new_id(),
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    per_second double precision,
    spent_until timestamptz,
    failures integer NOT NULL DEFAULT 0,
    openings integer NOT NULL DEFAULT 0,
    open_until timestamptz,
    probe_id uuid,
    held_until timestamptz,
    reason text,
    PRIMARY KEY (tenant_id, name),
    CHECK ((open_until IS NULL) = (openings = 0))
) WITH (fillfactor = 50);
COMMENT ON COLUMN automations.destination.per_second IS 'The rate it was sent to with last; null where it has none';
COMMENT ON COLUMN automations.destination.spent_until IS 'Until when its rate is used up: the theoretical arrival time of GCRA (ITU-T I.371)';
COMMENT ON COLUMN automations.destination.failures IS 'Transient failures in a row';
COMMENT ON COLUMN automations.destination.openings IS 'How often its circuit opened since it worked last';
COMMENT ON COLUMN automations.destination.open_until IS 'Nothing is sent until then, and from then on one at a time until one arrives; null while it works';
COMMENT ON COLUMN automations.destination.probe_id IS 'The delivery that tries it out; none while that is not SENDING';
COMMENT ON COLUMN automations.destination.held_until IS 'It asked to wait until then';
COMMENT ON COLUMN automations.destination.reason IS 'Of the latest failure';

ALTER TABLE automations.action
    ADD COLUMN paused_at timestamptz,
    ADD COLUMN paused_reason text,
    ADD CHECK ((paused_at IS NULL) = (paused_reason IS NULL));
COMMENT ON COLUMN automations.action.paused_at IS 'Since when nothing is sent by it: its receiver is gone for good';

-- The view knows the columns that there were when it was made.
CREATE OR REPLACE VIEW automations.automation_step AS
SELECT step.automation_id, step.position, action.*
FROM automations.automation_action AS step
JOIN automations.action ON action.tenant_id = step.tenant_id AND action.id = step.action_id;

CREATE FUNCTION automations.time_text(moment timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
$$;

-- Why an action that is paused sends nothing; null for one that is not.
CREATE FUNCTION automations.paused_text(paused_at timestamptz, paused_reason text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format(
        'The action is paused since %s: %s. Change its config to resume it.',
        automations.time_text(paused_at), paused_reason
    )
    WHERE paused_at IS NOT NULL
$$;

-- What keeps an action from working, in words.
CREATE FUNCTION automations.action_problems(tenant uuid, secrets text[], paused_at timestamptz, paused_reason text)
RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT automations.missing_secret_problems(tenant, secrets)
        || array_remove(ARRAY[automations.paused_text(paused_at, paused_reason)], NULL)
$$;

-- What a delivery waits for, in words; null for one that does not wait.
CREATE FUNCTION automations.waits_for(
    tenant uuid, delivery uuid, status text, due_at timestamptz, attempt_count integer, destination text, action uuid,
    subject text, is_ordered boolean
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN status <> 'PENDING' THEN NULL
        WHEN earlier.id IS NOT NULL THEN
            format('the delivery %s, an earlier one about the same subject', earlier.id)
        WHEN due_at > now() AND attempt_count > 0 THEN format('its next try at %s', automations.time_text(due_at))
        WHEN due_at > now() THEN format('its time, %s', automations.time_text(due_at))
        WHEN known.open_until > now() THEN format(
            'its destination, which failed %s times in a row and is tried again at %s: %s',
            known.failures, automations.time_text(known.open_until), known.reason
        )
        WHEN known.held_until > now() THEN
            format('its destination, which asked to wait until %s', automations.time_text(known.held_until))
        WHEN known.open_until IS NOT NULL THEN format(
            'its destination, which failed %s times in a row and is tried out with one delivery at a time: %s',
            known.failures, known.reason
        )
        WHEN known.spent_until > now() THEN
            format('its turn: its destination is sent %s a second at most', round(known.per_second::numeric, 3)::float)
        ELSE 'a free place'
    END
    FROM (VALUES (1)) AS one
    LEFT JOIN LATERAL (
        SELECT before.id FROM automations.delivery AS before
        WHERE waits_for.is_ordered AND waits_for.status = 'PENDING'
            AND before.tenant_id = tenant AND before.action_id = action AND before.subject = waits_for.subject
            AND before.id < delivery AND before.is_ordered AND before.status IN ('PENDING', 'SENDING')
        ORDER BY before.id LIMIT 1
    ) AS earlier ON true
    LEFT JOIN automations.destination AS known
        ON waits_for.status = 'PENDING' AND known.tenant_id = tenant AND known.name = waits_for.destination
$$;
