-- Runs that are late, and groups of agents that are quiet.

CREATE TABLE automations.flow_sla_config (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT automations.new_id(),
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    name text,
    kind text NOT NULL CHECK (kind IN ('SCHEDULED_NOT_STARTED', 'STARTED_NOT_FINISHED')),
    duration_seconds integer NOT NULL CHECK (duration_seconds > 0),
    inline boolean NOT NULL DEFAULT false,
    idempotency_key text,
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, idempotency_key)
);
COMMENT ON COLUMN automations.flow_sla_config.inline IS 'Made inside an automation and deleted with it';

-- The nil UUID stands for all flow groups.
CREATE TABLE automations.flow_group_sla (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT automations.new_id(),
    created timestamptz NOT NULL DEFAULT now(),
    flow_sla_config_id uuid NOT NULL,
    flow_group_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, flow_group_id, flow_sla_config_id),
    FOREIGN KEY (tenant_id, flow_sla_config_id) REFERENCES automations.flow_sla_config
);
CREATE INDEX flow_group_sla_config ON automations.flow_group_sla (tenant_id, flow_sla_config_id);

-- The rules of automations that wait for late runs; kept by the writes to automations.
CREATE TABLE automations.automation_sla (
    tenant_id uuid NOT NULL,
    flow_sla_config_id uuid NOT NULL,
    automation_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, flow_sla_config_id, automation_id),
    FOREIGN KEY (tenant_id, automation_id) REFERENCES automations.automation,
    FOREIGN KEY (tenant_id, flow_sla_config_id) REFERENCES automations.flow_sla_config
);
CREATE INDEX automation_sla_automation ON automations.automation_sla (tenant_id, automation_id);

-- What some automation waits for, flow group by flow group.
CREATE VIEW automations.watched_sla AS
SELECT config.tenant_id, config.id AS flow_sla_config_id, config.kind, config.duration_seconds, link.flow_group_id
FROM automations.flow_group_sla AS link
JOIN automations.flow_sla_config AS config
    ON config.tenant_id = link.tenant_id AND config.id = link.flow_sla_config_id
WHERE config.deleted_at IS NULL
    AND EXISTS (
        SELECT FROM automations.automation_sla AS rule
        WHERE rule.tenant_id = config.tenant_id AND rule.flow_sla_config_id = config.id
    );

-- One for each SLA of a run, set by the state that the time counts from and set anew by the next such state. Whether
-- the run kept the SLA is looked at when the timer is due: most timers are simply dropped then.
CREATE TABLE automations.sla_timer (
    tenant_id uuid NOT NULL,
    flow_sla_config_id uuid NOT NULL,
    flow_run_id uuid NOT NULL,
    version integer NOT NULL,
    anchored_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    caused_by uuid,
    PRIMARY KEY (tenant_id, flow_sla_config_id, flow_run_id)
);
CREATE INDEX sla_timer_due ON automations.sla_timer (due_at);
COMMENT ON COLUMN automations.sla_timer.version IS 'The run''s version with the state that set it';
COMMENT ON COLUMN automations.sla_timer.anchored_at IS 'What the SLA''s duration counts from';
COMMENT ON COLUMN automations.sla_timer.caused_by IS 'The delivery whose action made the state that set it';

-- From when a run's SLA counts: its scheduled start, or when it entered Running last. No row where it does not count.
CREATE FUNCTION automations.sla_anchor(run_id uuid, kind text)
RETURNS TABLE (version integer, anchored_at timestamptz) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(state.version, 0),
        CASE kind
            WHEN 'STARTED_NOT_FINISHED' THEN state.timestamp
            ELSE coalesce(state.start_time, run.scheduled_start_time)
        END
    FROM public.flow_run_state AS state
    JOIN public.flow_run AS run ON run.id = state.flow_run_id
    WHERE state.flow_run_id = run_id
        AND CASE kind
            WHEN 'STARTED_NOT_FINISHED' THEN state.state = 'Running'
            ELSE state.state = 'Scheduled'
                OR state.state IN ('Retrying', 'Resume', 'Paused') AND state.start_time IS NOT NULL
        END
    ORDER BY state.version DESC NULLS LAST, state.timestamp DESC
    LIMIT 1
$$;

-- Whether what happened after a timer was set has settled it: the run started, finished, or has a new anchor.
CREATE FUNCTION automations.sla_is_settled(run_id uuid, since_version integer, kind text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT FROM public.flow_run_state AS later
        WHERE later.flow_run_id = run_id AND coalesce(later.version, 0) > since_version
            AND CASE kind
                WHEN 'STARTED_NOT_FINISHED' THEN later.state NOT IN (
                    'Pending', 'Scheduled', 'Retrying', 'Resume', 'Paused', 'Queued', 'Submitted', 'ClientFailed',
                    'Cancelling'
                )
                ELSE later.state NOT IN ('Pending', 'Queued', 'ClientFailed')
            END
    )
$$;

-- How many automations set one another off to get to what a delivery has caused.
CREATE FUNCTION automations.depth_after(tenant uuid, delivery_id uuid) RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT 1 + coalesce((
        SELECT firing.depth
        FROM automations.delivery
        JOIN automations.firing ON firing.tenant_id = delivery.tenant_id AND firing.id = delivery.firing_id
        WHERE delivery.tenant_id = tenant AND delivery.id = delivery_id
    ), 0)
$$;

-- The groups of agents that automations watch, and which of them are down. Kept by the writes to automations, which
-- leave the health of a group that stays watched as it is.
CREATE TABLE automations.agent_group_health (
    tenant_id uuid NOT NULL,
    automation_id uuid NOT NULL,
    agent_config_id uuid NOT NULL,
    min_healthy integer NOT NULL CHECK (min_healthy > 0),
    unhealthy_after_seconds integer NOT NULL CHECK (unhealthy_after_seconds > 0),
    down_since timestamptz,
    PRIMARY KEY (tenant_id, automation_id, agent_config_id),
    FOREIGN KEY (tenant_id, automation_id) REFERENCES automations.automation
);
COMMENT ON COLUMN automations.agent_group_health.down_since IS 'When too few agents were healthy first; null while enough are';

-- Agents speak to us only while somebody listens: time in which nobody watched is not held against them.
CREATE TABLE automations.agent_watch (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    looked_at timestamptz NOT NULL,
    watching_since timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON COLUMN automations.agent_watch.looked_at IS 'When some process looked at the groups last';
COMMENT ON COLUMN automations.agent_watch.watching_since IS 'Since when there was no gap between two looks';

-- The same happening fires an automation once, whoever sees it again. State changes are taken off their queue once.
CREATE UNIQUE INDEX firing_once ON automations.firing (tenant_id, event_id, automation_id)
    WHERE event_type <> 'FlowRunStateChangedEvent' AND NOT is_test;
