-- Who may speak to the API, and what a repeated call has made before.

CREATE TABLE automations.api_key (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT automations.new_id(),
    created timestamptz NOT NULL DEFAULT now(),
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('admin', 'editor', 'viewer', 'agent')),
    all_tenants boolean NOT NULL DEFAULT false,
    reads_secrets boolean NOT NULL DEFAULT false,
    expires_at timestamptz,
    last_used_at timestamptz,
    deleted_at timestamptz,
    beginning text NOT NULL UNIQUE,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (tenant_id, id),
    CHECK (NOT reads_secrets OR role = 'agent')
);
-- A name belongs to one key at a time: a call that is repeated after a time-out makes no second key.
CREATE UNIQUE INDEX api_key_name ON automations.api_key (tenant_id, name) WHERE deleted_at IS NULL;
COMMENT ON COLUMN automations.api_key.tenant_id IS 'The tenant it speaks for, unless a request names another and it may';
COMMENT ON COLUMN automations.api_key.all_tenants IS 'May speak for every tenant';
COMMENT ON COLUMN automations.api_key.beginning IS 'How the key begins: finds the row, tells keys apart, and is no secret';
COMMENT ON COLUMN automations.api_key.hash IS 'SHA-256 of the whole key';

-- Every process forgets what it knows of keys when one of them changes.
CREATE FUNCTION automations.tell_of_api_keys() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    PERFORM pg_notify('automations_api_key', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER tell_of_change AFTER DELETE OR UPDATE OF deleted_at, expires_at, role, all_tenants, reads_secrets, hash
    ON automations.api_key FOR EACH STATEMENT EXECUTE FUNCTION automations.tell_of_api_keys();

-- For what is made in tables that may be somebody else's and have no column for such a key.
CREATE TABLE automations.idempotency_key (
    tenant_id uuid NOT NULL,
    table_name text NOT NULL,
    idempotency_key text NOT NULL,
    row_id uuid NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, table_name, idempotency_key)
);
COMMENT ON COLUMN automations.idempotency_key.row_id IS 'What the first call with this key made';
