-- name: look$
-- Notes that somebody looks, and returns since when there was no gap between two looks. A clock that was set back
-- starts anew.
INSERT INTO automations.agent_watch AS watch (looked_at, watching_since) VALUES (:now, :now)
ON CONFLICT (is_only) DO UPDATE
SET looked_at = excluded.looked_at,
    watching_since = CASE
        WHEN excluded.looked_at BETWEEN watch.looked_at - CAST(:longest_gap AS interval) AND watch.looked_at + CAST(:longest_gap AS interval)
        THEN watch.watching_since ELSE excluded.watching_since
    END
RETURNING watching_since;

-- name: is_watching$
SELECT EXISTS (SELECT FROM automations.agent_group_health);

-- name: judge
-- Flips the groups whose health has changed and returns the firings of those that went down: a flip is the event.
-- Registering is a sign of life too. A group without agents is not unhealthy. Down, a group is judged by what its
-- agents said; to go down, only by the time in which somebody watched.
WITH judged AS MATERIALIZED (
    SELECT watched.tenant_id, watched.automation_id, watched.agent_config_id, watched.min_healthy, watched.down_since,
        count(agent.id) AS agents,
        count(*) FILTER (WHERE agent.seen > patience.horizon) AS healthy,
        count(*) FILTER (
            WHERE greatest(agent.seen, CAST(:watching_since AS timestamptz)) > patience.horizon
        ) AS trusted,
        coalesce(jsonb_agg(agent.id ORDER BY agent.id) FILTER (WHERE agent.seen > patience.horizon), '[]') AS healthy_ids,
        coalesce(jsonb_agg(agent.id ORDER BY agent.id) FILTER (WHERE agent.seen <= patience.horizon), '[]') AS unhealthy_ids
    FROM automations.agent_group_health AS watched
    CROSS JOIN LATERAL (
        SELECT CAST(:now AS timestamptz) - watched.unhealthy_after_seconds * interval '1 second' AS horizon
    ) AS patience
    LEFT JOIN LATERAL (
        SELECT id, coalesce(last_queried, created) AS seen FROM public.agent
        WHERE agent.agent_config_id = watched.agent_config_id AND agent.tenant_id = watched.tenant_id
    ) AS agent ON true
    GROUP BY watched.tenant_id, watched.automation_id, watched.agent_config_id
), recovered AS (
    UPDATE automations.agent_group_health AS watched SET down_since = NULL
    FROM judged
    WHERE watched.tenant_id = judged.tenant_id AND watched.automation_id = judged.automation_id
        AND watched.agent_config_id = judged.agent_config_id
        AND watched.down_since IS NOT NULL AND (judged.healthy >= judged.min_healthy OR judged.agents = 0)
), went_down AS (
    UPDATE automations.agent_group_health AS watched SET down_since = :now
    FROM judged
    WHERE watched.tenant_id = judged.tenant_id AND watched.automation_id = judged.automation_id
        AND watched.agent_config_id = judged.agent_config_id
        AND watched.down_since IS NULL AND judged.trusted < judged.min_healthy AND judged.agents > 0
    RETURNING judged.*, md5(concat_ws('/', judged.agent_config_id, extract(epoch FROM CAST(:now AS timestamptz))))::uuid AS event_id
)
INSERT INTO automations.firing (tenant_id, automation_id, event_type, event_id, event)
SELECT went_down.tenant_id, went_down.automation_id, 'AgentSLAFailedEvent', went_down.event_id,
    jsonb_build_object(
        'id', went_down.event_id,
        'event_name', 'AgentSLAFailedEvent',
        'tenant_id', went_down.tenant_id,
        'tenant_slug', tenant.slug,
        'timestamp', CAST(:now AS timestamptz),
        'healthy_agent_ids', went_down.healthy_ids,
        'unhealthy_agent_ids', went_down.unhealthy_ids,
        'agent_ids', went_down.unhealthy_ids,
        'sla_min_healthy', went_down.min_healthy,
        'agent_config_id', went_down.agent_config_id,
        'agent_config_name', left(config.name, 1000)
    )
FROM went_down
JOIN public.tenant ON tenant.id = went_down.tenant_id
JOIN public.agent_config AS config ON config.id = went_down.agent_config_id
ON CONFLICT (tenant_id, event_id, automation_id) WHERE event_type <> 'FlowRunStateChangedEvent' AND NOT is_test
    DO NOTHING
RETURNING tenant_id, id;

-- name: put_groups!
-- An automation watches these groups and no others. One that it watches already keeps its health.
WITH gone AS (
    DELETE FROM automations.agent_group_health
    WHERE tenant_id = :tenant_id AND automation_id = :automation_id
        AND agent_config_id <> ALL(CAST(:agent_config_ids AS uuid[]))
)
INSERT INTO automations.agent_group_health
    (tenant_id, automation_id, agent_config_id, min_healthy, unhealthy_after_seconds)
SELECT :tenant_id, :automation_id, agent_config_id, :min_healthy, :unhealthy_after_seconds
FROM unnest(CAST(:agent_config_ids AS uuid[])) AS agent_config_id
ON CONFLICT (tenant_id, automation_id, agent_config_id) DO UPDATE
SET min_healthy = excluded.min_healthy, unhealthy_after_seconds = excluded.unhealthy_after_seconds;
