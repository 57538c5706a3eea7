-- name: find_key^
SELECT id, tenant_id, name, role, all_tenants, reads_secrets, expires_at, last_used_at, hash
FROM automations.api_key
WHERE beginning = :beginning AND deleted_at IS NULL;

-- name: any_key$
SELECT EXISTS (SELECT FROM automations.api_key WHERE deleted_at IS NULL);

-- name: note_use!
-- Once a minute, whichever process is the first to see the key in use.
UPDATE automations.api_key SET last_used_at = :now
WHERE tenant_id = :tenant_id AND id = :key_id
    AND (last_used_at IS NULL OR last_used_at <= CAST(:earlier AS timestamptz));

-- name: insert_key$
INSERT INTO automations.api_key
    (tenant_id, name, role, expires_at, all_tenants, reads_secrets, beginning, hash)
VALUES
    (:tenant_id, :name, :role, :expires_at, :all_tenants, :reads_secrets, :beginning, :hash)
RETURNING id;

-- name: get_key^
SELECT all_tenants FROM automations.api_key
WHERE tenant_id = :tenant_id AND id = :key_id AND deleted_at IS NULL
FOR UPDATE;

-- name: delete_key!
UPDATE automations.api_key SET deleted_at = now() WHERE tenant_id = :tenant_id AND id = :key_id;

-- name: list_keys
-- For the command line, which is the operator's: the keys of all tenants.
SELECT api_key.id, api_key.tenant_id, tenant.slug AS tenant, api_key.name, api_key.role, api_key.all_tenants,
    api_key.beginning, api_key.expires_at, api_key.last_used_at
FROM automations.api_key
LEFT JOIN public.tenant ON tenant.id = api_key.tenant_id
WHERE api_key.deleted_at IS NULL
ORDER BY tenant.slug, api_key.name;

-- name: set_author!
-- The triggers that write the audit read it.
SELECT set_config('automations.actor', :actor, true), set_config('automations.operation', :operation, true),
    set_config('automations.key_id', :key_id, true);
