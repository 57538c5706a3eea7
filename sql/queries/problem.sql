-- name: is_watching$
-- Whether some automation waits for problems, or was told of one.
SELECT EXISTS (
    SELECT FROM automations.automation WHERE event_type = 'ServerProblemEvent' AND deleted_at IS NULL
) OR EXISTS (SELECT FROM automations.server_problem);

-- name: judge
-- Flips the problems that began or are over and returns the firings of those that began: a flip is the event.
-- What is late is late for every tenant; the rest is that tenant's alone whose destination, action or secret it is.
-- A problem has the same id for all automations of a tenant, also for those that begin to wait while it goes on. One
-- that was told of it and is disabled and enabled again meanwhile is not told again.
WITH watching AS MATERIALIZED (
    SELECT tenant_id, id AS automation_id, enabled, event -> 'problems' AS problems
    FROM automations.automation
    WHERE event_type = 'ServerProblemEvent' AND deleted_at IS NULL
), watching_tenant AS (
    SELECT DISTINCT tenant_id FROM watching
), found (tenant_id, problem, subject, since, begins, affected, message) AS MATERIALIZED (
    SELECT watching_tenant.tenant_id, late.problem, '', late.since, late.begins, NULL, late.message
    FROM watching_tenant
    CROSS JOIN unnest(
        CAST(:late AS text[]), CAST(:late_since AS timestamptz[]), CAST(:late_begins AS boolean[]),
        CAST(:late_messages AS text[])
    ) AS late (problem, since, begins, message)
    UNION ALL
    SELECT tenant_id, 'DESTINATION_FAILS', name, NULL, true, name,
        format('The destination %s has failed for an hour or more: %s. Deliveries to it wait.', name, reason)
    FROM watching_tenant
    JOIN automations.destination USING (tenant_id)
    WHERE open_until IS NOT NULL AND openings >= CAST(:long_openings AS integer)
    UNION ALL
    SELECT tenant_id, 'ACTION_PAUSED', CAST(action.id AS text), action.paused_at, true, named.affected,
        format('"%s": %s', named.affected, automations.paused_text(action.paused_at, action.paused_reason))
    FROM watching_tenant
    JOIN automations.action USING (tenant_id)
    CROSS JOIN LATERAL (
        SELECT left(coalesce(action.name, (
            SELECT string_agg(automation.name, ', ' ORDER BY automation.name)
            FROM automations.automation_action AS step
            JOIN automations.automation
                ON automation.tenant_id = step.tenant_id AND automation.id = step.automation_id
            WHERE step.tenant_id = action.tenant_id AND step.action_id = action.id AND automation.deleted_at IS NULL
        ), action.action_type), 1000) AS affected
    ) AS named
    WHERE action.paused_at IS NOT NULL AND action.deleted_at IS NULL
    UNION ALL
    SELECT tenant_id, 'SECRET_MISSING', used.name, NULL, true, used.name,
        format(
            '%s the secret "%s", which does not exist: set it, or sending fails.',
            CASE count(*) WHEN 1 THEN 'An action uses' ELSE count(*) || ' actions use' END, used.name
        )
    FROM watching_tenant
    JOIN automations.action USING (tenant_id)
    CROSS JOIN LATERAL unnest(action.used_secrets) AS used (name)
    WHERE action.deleted_at IS NULL AND NOT EXISTS (
        SELECT FROM automations.secret WHERE secret.tenant_id = action.tenant_id AND secret.name = used.name
    )
    GROUP BY tenant_id, used.name
), wanted AS MATERIALIZED (
    SELECT watching.automation_id, watching.enabled, found.*
    FROM watching
    JOIN found USING (tenant_id)
    WHERE watching.problems IS NULL OR watching.problems ? found.problem
), over AS (
    DELETE FROM automations.server_problem AS known
    WHERE NOT EXISTS (
        SELECT FROM wanted
        WHERE wanted.tenant_id = known.tenant_id AND wanted.automation_id = known.automation_id
            AND wanted.problem = known.problem AND wanted.subject = known.subject
    )
), began AS (
    INSERT INTO automations.server_problem (tenant_id, automation_id, problem, subject, found_at)
    SELECT wanted.tenant_id, wanted.automation_id, wanted.problem, wanted.subject,
        coalesce((
            SELECT min(known.found_at) FROM automations.server_problem AS known
            WHERE known.tenant_id = wanted.tenant_id AND known.problem = wanted.problem
                AND known.subject = wanted.subject
        ), :now)
    FROM wanted
    WHERE wanted.begins AND wanted.enabled
    ON CONFLICT (tenant_id, problem, subject, automation_id) DO NOTHING
    RETURNING *, md5(concat_ws('/', tenant_id, problem, subject, extract(epoch FROM found_at)))::uuid AS event_id
)
INSERT INTO automations.firing (tenant_id, automation_id, event_type, event_id, event)
SELECT began.tenant_id, began.automation_id, 'ServerProblemEvent', began.event_id,
    jsonb_build_object(
        'id', began.event_id,
        'event_name', 'ServerProblemEvent',
        'tenant_id', began.tenant_id,
        'tenant_slug', tenant.slug,
        'timestamp', CAST(:now AS timestamptz),
        'problem', began.problem,
        'problem_message', left(wanted.message, 8000),
        'affected', array_remove(ARRAY[wanted.affected], NULL),
        'since', coalesce(wanted.since, began.found_at)
    )
FROM began
JOIN wanted ON wanted.tenant_id = began.tenant_id AND wanted.automation_id = began.automation_id
    AND wanted.problem = began.problem AND wanted.subject = began.subject
JOIN public.tenant ON tenant.id = began.tenant_id
ON CONFLICT (tenant_id, event_id, automation_id) WHERE event_type <> 'FlowRunStateChangedEvent' AND NOT is_test
    DO NOTHING
RETURNING tenant_id, id;
