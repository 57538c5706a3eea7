-- What happened, what fired and what is owed. The hot tables have no foreign keys: their rows are written a batch
-- at a time from rows read in the same statement, and a key check on each would cost as much as the row.

CREATE TABLE automations.state_change (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid,
    flow_run_id uuid NOT NULL,
    flow_run_state_id uuid NOT NULL,
    state text NOT NULL,
    captured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    caused_by uuid
);
COMMENT ON TABLE automations.state_change IS 'A queue: state changes that were committed and not yet evaluated';
COMMENT ON COLUMN automations.state_change.tenant_id IS 'As on the state; an existing backend may leave it out, then the run''s counts';
COMMENT ON COLUMN automations.state_change.caused_by IS 'The delivery whose action made this change';

CREATE TABLE automations.firing (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT automations.new_id(),
    created timestamptz NOT NULL DEFAULT clock_timestamp(),
    automation_id uuid,
    event_type text NOT NULL,
    event_id uuid NOT NULL,
    event jsonb NOT NULL,
    flow_run_id uuid,
    depth integer NOT NULL DEFAULT 0,
    is_test boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX firing_automation ON automations.firing (tenant_id, automation_id, created);
CREATE INDEX firing_flow_run ON automations.firing (tenant_id, flow_run_id);
COMMENT ON COLUMN automations.firing.event IS 'The event''s attributes as they were when it fired';
COMMENT ON COLUMN automations.firing.depth IS 'How many automations set one another off to get here';

CREATE TABLE automations.delivery (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT automations.new_id(),
    created timestamptz NOT NULL DEFAULT clock_timestamp(),
    firing_id uuid NOT NULL,
    automation_id uuid,
    action_id uuid NOT NULL,
    action_type text NOT NULL,
    destination text NOT NULL,
    status text NOT NULL CHECK (status IN ('PENDING', 'SENDING', 'DELIVERED', 'FAILED', 'SUPPRESSED')),
    attempt_count integer NOT NULL DEFAULT 0,
    due_at timestamptz,
    started_at timestamptz,
    lease_until timestamptz,
    finished_at timestamptz,
    status_code integer,
    reason text,
    is_test boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, id),
    CHECK ((status = 'PENDING') = (due_at IS NOT NULL)),
    CHECK ((status = 'SENDING') = (lease_until IS NOT NULL)),
    CHECK ((status IN ('DELIVERED', 'FAILED', 'SUPPRESSED')) = (finished_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX delivery_firing ON automations.delivery (tenant_id, firing_id);
CREATE INDEX delivery_automation ON automations.delivery (tenant_id, automation_id, created);
-- What the dispatcher walks: each destination has a queue of its own, so that a slow one is passed over.
CREATE INDEX delivery_due ON automations.delivery (tenant_id, destination, due_at) WHERE status = 'PENDING';
CREATE INDEX delivery_lease ON automations.delivery (lease_until) WHERE status = 'SENDING';
COMMENT ON COLUMN automations.delivery.attempt_count IS 'How often sending was begun';
COMMENT ON COLUMN automations.delivery.due_at IS 'When it is tried next';
COMMENT ON COLUMN automations.delivery.started_at IS 'When the latest attempt was begun';
COMMENT ON COLUMN automations.delivery.lease_until IS 'Until when the process that sends it is trusted to be alive';
COMMENT ON COLUMN automations.delivery.reason IS 'Why it is not (yet) delivered';

CREATE TABLE automations.attempt (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT automations.new_id(),
    delivery_id uuid NOT NULL,
    number integer NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('DELIVERED', 'RETRY', 'FAILED', 'LOST')),
    status_code integer,
    reason text,
    request jsonb,
    answer text,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, delivery_id, number)
);
COMMENT ON COLUMN automations.attempt.outcome IS 'LOST: the process that sent it died before it could say how it ended';
COMMENT ON COLUMN automations.attempt.request IS 'What was sent, without secrets';
COMMENT ON COLUMN automations.attempt.answer IS 'The first 4 KB of what came back';
