-- A config may carry a credential of its own: a routing key, a URL that whoever knows it may post to, headers. Who may
-- not change an action does not see these either, nor filter and sort by them: viewers read other rows.

CREATE FUNCTION automations.config_for_viewers(config jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_object_agg(key, CASE
        WHEN key = 'routing_key' THEN to_jsonb(text '(hidden)')
        WHEN key = 'url' THEN to_jsonb(coalesce(
            (SELECT found[1] || found[2] || '/' FROM regexp_match(value #>> '{}', '^(https?://)(?:[^/?#]*@)?([^/?#@]*)') AS found),
            ''
        ) || '(hidden)')
        WHEN key = 'headers' AND jsonb_typeof(value) = 'object' THEN (
            SELECT coalesce(jsonb_object_agg(name, '(hidden)'), '{}') FROM jsonb_object_keys(value) AS name
        )
        ELSE value
    END), '{}')
    FROM jsonb_each(config)
$$;

CREATE VIEW automations.action_for_viewers AS
SELECT tenant_id, id, created, updated, name, action_type, automations.config_for_viewers(action_config) AS action_config,
    inline, destination, used_secrets, paused_at, paused_reason, deleted_at
FROM automations.action;
COMMENT ON VIEW automations.action_for_viewers IS 'Actions without the credentials that their configs may carry';

CREATE VIEW automations.automation_step_for_viewers AS
SELECT step.automation_id, step.position, action.*
FROM automations.automation_action AS step
JOIN automations.action_for_viewers AS action ON action.tenant_id = step.tenant_id AND action.id = step.action_id;
