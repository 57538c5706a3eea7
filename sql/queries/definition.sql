-- name: lock_idempotency_key!
-- Two calls with one key take turns, so that the second finds what the first made.
SELECT pg_advisory_xact_lock(hashtextextended(CAST(:tenant_id AS text) || CAST(:idempotency_key AS text), 0));

-- name: action_of_idempotency_key^
SELECT id, deleted_at FROM automations.action WHERE tenant_id = :tenant_id AND idempotency_key = :idempotency_key;

-- name: insert_action$
INSERT INTO automations.action
    (tenant_id, name, action_type, action_config, inline, destination, targets, is_ordered, used_secrets, idempotency_key,
    deleted_at)
VALUES (
    :tenant_id, :name, :action_type, :action_config, :inline, :destination, :targets, :is_ordered, :used_secrets,
    :idempotency_key, CASE WHEN CAST(:hidden AS boolean) THEN now() END
)
RETURNING id;

-- name: get_action^
SELECT id, action_type, action_config, inline FROM automations.action
WHERE tenant_id = :tenant_id AND id = :action_id AND deleted_at IS NULL
FOR UPDATE;

-- name: get_actions
-- Held against deletion until the automation that refers to them is written.
SELECT id, action_type, action_config FROM automations.action
WHERE tenant_id = :tenant_id AND id = ANY(CAST(:action_ids AS uuid[])) AND deleted_at IS NULL
ORDER BY id
FOR SHARE;

-- name: rename_action!
UPDATE automations.action SET name = :name, updated = now() WHERE tenant_id = :tenant_id AND id = :action_id;

-- name: update_action_config!
-- A new config resumes an action that was paused.
UPDATE automations.action
SET action_type = :action_type, action_config = :action_config, destination = :destination, targets = :targets,
    is_ordered = :is_ordered, used_secrets = :used_secrets, paused_at = NULL, paused_reason = NULL, updated = now()
WHERE tenant_id = :tenant_id AND id = :action_id;

-- name: move_pending_deliveries!
-- What is owed by an action goes where the action goes now.
UPDATE automations.delivery SET destination = :destination, action_type = :action_type
WHERE tenant_id = :tenant_id AND action_id = :action_id AND status = 'PENDING';

-- name: users_of_action
-- Automations that would be left without this action.
SELECT automation.id, automation.name, automation.event_type
FROM automations.automation_action AS step
JOIN automations.automation ON automation.tenant_id = step.tenant_id AND automation.id = step.automation_id
WHERE step.tenant_id = :tenant_id AND step.action_id = :action_id AND automation.deleted_at IS NULL
ORDER BY automation.name;

-- name: lock_actions!
-- Whoever is about to refer to one of these is waited for, so that the next statement sees it.
SELECT FROM automations.action
WHERE tenant_id = :tenant_id AND id = ANY(CAST(:action_ids AS uuid[]))
ORDER BY id
FOR UPDATE;

-- name: delete_unused_actions!
-- An action made inside one automation lives on while another one uses it.
UPDATE automations.action SET deleted_at = now()
WHERE tenant_id = :tenant_id AND id = ANY(CAST(:action_ids AS uuid[]))
    AND NOT EXISTS (
        SELECT FROM automations.automation_action AS step
        JOIN automations.automation ON automation.tenant_id = step.tenant_id AND automation.id = step.automation_id
        WHERE step.tenant_id = :tenant_id AND step.action_id = action.id AND automation.deleted_at IS NULL
    );

-- name: missing_secrets$
SELECT coalesce(array_agg(name ORDER BY name), '{}') FROM unnest(CAST(:names AS text[])) AS used (name)
WHERE NOT EXISTS (SELECT FROM automations.secret WHERE secret.tenant_id = :tenant_id AND secret.name = used.name);

-- name: automation_of_idempotency_key^
SELECT id, deleted_at FROM automations.automation WHERE tenant_id = :tenant_id AND idempotency_key = :idempotency_key;

-- name: insert_automation$
INSERT INTO automations.automation
    (tenant_id, name, description, enabled, event_type, event, event_tags, idempotency_key)
VALUES
    (:tenant_id, :name, :description, :enabled, :event_type, :event, :event_tags, :idempotency_key)
RETURNING id;

-- name: get_automation^
SELECT id, name, description, enabled, event_type, event FROM automations.automation
WHERE tenant_id = :tenant_id AND id = :automation_id AND deleted_at IS NULL
FOR UPDATE;

-- name: update_automation!
UPDATE automations.automation
SET name = :name, description = :description, enabled = :enabled, event_type = :event_type, event = :event,
    event_tags = :event_tags, updated = now()
WHERE tenant_id = :tenant_id AND id = :automation_id;

-- name: delete_automation!
UPDATE automations.automation SET deleted_at = now(), enabled = false
WHERE tenant_id = :tenant_id AND id = :automation_id;

-- name: actions_of_automation
SELECT action.id, action.action_type, action.action_config, action.inline
FROM automations.automation_action AS step
JOIN automations.action ON action.tenant_id = step.tenant_id AND action.id = step.action_id
WHERE step.tenant_id = :tenant_id AND step.automation_id = :automation_id
ORDER BY step.position;

-- name: clear_actions!
DELETE FROM automations.automation_action WHERE tenant_id = :tenant_id AND automation_id = :automation_id;

-- name: add_actions!
INSERT INTO automations.automation_action (tenant_id, automation_id, position, action_id)
SELECT :tenant_id, :automation_id, step.position - 1, step.action_id
FROM unnest(CAST(:action_ids AS uuid[])) WITH ORDINALITY AS step (action_id, position);

-- name: clear_matches!
DELETE FROM automations.automation_match WHERE tenant_id = :tenant_id AND automation_id = :automation_id;

-- name: add_matches!
INSERT INTO automations.automation_match (tenant_id, state, flow_group_id, project_id, automation_id)
SELECT :tenant_id, lower(state), flow_group_id, project_id, :automation_id
FROM unnest(CAST(:states AS text[])) AS state,
    unnest(CAST(:flow_group_ids AS uuid[])) AS flow_group_id,
    unnest(CAST(:project_ids AS uuid[])) AS project_id;

-- name: set_secret!
INSERT INTO automations.secret (tenant_id, name, sealed) VALUES (:tenant_id, :name, :sealed)
ON CONFLICT (tenant_id, name) DO UPDATE SET sealed = excluded.sealed, updated = now();

-- name: sealed_secrets
-- Of all tenants; they stay as they are until the end of the transaction.
SELECT tenant_id, name, sealed FROM automations.secret ORDER BY tenant_id, name FOR UPDATE;

-- name: reseal!
UPDATE automations.secret SET sealed = :sealed WHERE tenant_id = :tenant_id AND name = :name;

-- name: delete_secret$
DELETE FROM automations.secret WHERE tenant_id = :tenant_id AND name = :name RETURNING true;

-- name: get_secret$
SELECT sealed FROM automations.secret WHERE tenant_id = :tenant_id AND name = :name;

-- name: secret_names$
SELECT coalesce(array_agg(name ORDER BY name), '{}') FROM automations.secret WHERE tenant_id = :tenant_id;
