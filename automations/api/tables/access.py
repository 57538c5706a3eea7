"""Who may do what, and who changed what."""

from automations.access.roles import ADMINS
from automations.api.tables.declaration import CREATED, TENANT_ID, Column, Relation, Table, id_of

ACCESS = (
    Table(
        "api_key",
        "automations.api_key",
        "A key to this API. The key itself is shown once, when it is made.",
        (
            id_of("key"),
            TENANT_ID,
            CREATED,
            Column("name", "text", "Its name.", nullable=False),
            Column("role", "text", "admin, editor, viewer or agent.", nullable=False),
            Column("beginning", "text", "How the key begins.", nullable=False),
            Column("all_tenants", "boolean", "Whether it may speak for every tenant.", nullable=False),
            Column("reads_secrets", "boolean", "Whether flow runs read values of secrets with it.", nullable=False),
            Column("expires_at", "timestamptz", "When it ends to be valid; never where it is null."),
            Column("last_used_at", "timestamptz", "When it was used last, to the minute."),
            Column("deleted_at", "timestamptz", "When it was revoked; the audit still knows it."),
        ),
        live="deleted_at",
        readers=ADMINS,
    ),
    Table(
        "audit_event",
        "automations.audit_event",
        "A change of a definition: what an automation, action, secret, SLA or key was, and what it became.",
        (
            id_of("audit event"),
            TENANT_ID,
            Column("created", "timestamptz", "When it was changed.", nullable=False),
            Column(
                "actor",
                "text",
                "Name of the API key; or unauthenticated, command line, or an account of the database.",
                nullable=False,
            ),
            Column("key_id", "uuid", "The API key."),
            Column("operation", "text", "The mutation or command; null where SQL was sent by hand."),
            Column("change", "text", "CREATED, CHANGED or DELETED.", nullable=False),
            Column("table_name", "text", "What was changed.", nullable=False),
            Column(
                "row_id",
                "text",
                "Id of what was changed; of a secret, its name; of an automation's actions, the automation.",
                nullable=False,
            ),
            Column("before", "jsonb", "What it was, without secrets."),
            Column("after", "jsonb", "What it is, without secrets."),
        ),
        (Relation("api_key", "api_key", (("id", "key_id"),), "The API key."),),
        readers=ADMINS,
    ),
)
