-- The server's own problems as events.

-- One more than there were: what is in the table met the narrower check, and need not be looked at again.
ALTER TABLE automations.automation
    -- squawk-ignore ban-drop-constraint
    DROP CONSTRAINT automation_event_type_check,
    ADD CONSTRAINT automation_event_type_check CHECK (
        event_type IN ('FlowRunStateChangedEvent', 'FlowSLAFailedEvent', 'AgentSLAFailedEvent', 'ServerProblemEvent')
    ) NOT VALID;

-- There may be many automations, and few that wait for problems.
CREATE INDEX automation_server_problem ON automations.automation (tenant_id, id)
    WHERE event_type = 'ServerProblemEvent' AND deleted_at IS NULL;

-- Kept by whoever looks for problems.
CREATE TABLE automations.server_problem (
    tenant_id uuid NOT NULL,
    automation_id uuid NOT NULL,
    problem text NOT NULL,
    subject text NOT NULL,
    found_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, problem, subject, automation_id),
    FOREIGN KEY (tenant_id, automation_id) REFERENCES automations.automation
);
COMMENT ON TABLE automations.server_problem IS 'Problems that go on and that an automation was told of';
COMMENT ON COLUMN automations.server_problem.subject IS 'A destination, an action''s id, the name of a secret; empty for what is everybody''s';
COMMENT ON COLUMN automations.server_problem.found_at IS 'When it was found first, by which the event is told from an earlier one';

COMMENT ON COLUMN automations.delivery.subject IS 'The same for all that an automation says about one flow run, agent config or problem';
