"""What people set up: SLAs, automations (`hook` is the same row as existing clients know it) and actions."""

from automations.access.roles import VIEWERS
from automations.api.tables.declaration import CREATED, EVENT_TYPE, STAMPS, TENANT_ID, Column, Relation, Table, id_of

DEFINITIONS = (
    Table(
        "flow_sla_config",
        "automations.flow_sla_config",
        "By when runs must have started or finished.",
        (
            id_of("SLA"),
            TENANT_ID,
            *STAMPS,
            Column("name", "text", "Its name."),
            Column("kind", "text", "SCHEDULED_NOT_STARTED or STARTED_NOT_FINISHED.", nullable=False),
            Column("duration_seconds", "integer", "After how many seconds a run is late.", nullable=False),
            Column("inline", "boolean", "Whether it was made inside an automation.", nullable=False),
            Column("deleted_at", "timestamptz", "When it was deleted; the ledger still knows it."),
        ),
        (
            Relation(
                "flow_groups", "flow_group_sla", (("flow_sla_config_id", "id"),), "Whose runs it is for.", many=True
            ),
        ),
        live="deleted_at",
        readers=VIEWERS,
    ),
    Table(
        "flow_group_sla",
        "automations.flow_group_sla",
        "A flow group that is held to an SLA.",
        (
            id_of("link"),
            TENANT_ID,
            CREATED,
            Column("flow_sla_config_id", "uuid", "The SLA.", nullable=False),
            Column("flow_group_id", "uuid", "The flow group; the nil UUID stands for all.", nullable=False),
        ),
        (
            Relation("flow_sla_config", "flow_sla_config", (("id", "flow_sla_config_id"),), "The SLA."),
            Relation("flow_group", "flow_group", (("id", "flow_group_id"),), "The flow group."),
        ),
        readers=VIEWERS,
    ),
    Table(
        "automation",
        "automations.automation",
        "When this happens, do that.",
        (
            id_of("automation"),
            TENANT_ID,
            *STAMPS,
            Column("name", "text", "Its name.", nullable=False),
            Column("description", "text", "What it is for."),
            Column("enabled", "boolean", "Whether it fires.", nullable=False),
            EVENT_TYPE,
            Column("event", "jsonb", "What it waits for: the inner object of the event key.", nullable=False),
            Column("event_tags", "jsonb", "The same as an object of lists.", nullable=False),
            Column("deleted_at", "timestamptz", "When it was deleted; the ledger still knows it."),
        ),
        (
            Relation(
                "actions",
                "action",
                (("automation_id", "id"),),
                "What it does, in this order.",
                many=True,
                source="automations.automation_step",
                order="position",
            ),
            Relation("firings", "firing", (("automation_id", "id"),), "When it fired.", many=True),
            Relation("deliveries", "delivery", (("automation_id", "id"),), "What it sent or owes.", many=True),
        ),
        live="deleted_at",
        readers=VIEWERS,
    ),
    Table(
        "hook",
        "automations.automation",
        "An automation as existing clients know it, with its first action.",
        (
            id_of("automation"),
            TENANT_ID,
            *STAMPS,
            EVENT_TYPE,
            Column("event_tags", "jsonb", "What it waits for, as an object of lists.", nullable=False),
        ),
        (
            Relation(
                "action",
                "action",
                (("automation_id", "id"),),
                "Its first action.",
                source="automations.automation_step",
                order="position",
            ),
        ),
        live="deleted_at",
        readers=VIEWERS,
    ),
    Table(
        "action",
        "automations.action",
        "A configured action client.",
        (
            id_of("action"),
            TENANT_ID,
            *STAMPS,
            Column("name", "text", "Its name; one made inside an automation has none."),
            Column("action_type", "text", "The client, such as SlackNotificationAction.", nullable=False),
            Column(
                "action_config",
                "jsonb",
                "The inner object of the config key; to viewers, without credentials.",
                nullable=False,
            ),
            Column("inline", "boolean", "Whether it was made inside an automation.", nullable=False),
            Column("destination", "text", "What it shares its limits with.", nullable=False),
            Column(
                "problems",
                "text[]",
                "What keeps it from working.",
                nullable=False,
                function="automations.action_problems",
                arguments=("tenant_id", "used_secrets", "paused_at", "paused_reason"),
            ),
            Column("paused_at", "timestamptz", "Since when it sends nothing: its receiver is gone for good."),
            Column("paused_reason", "text", "Why it sends nothing. A new config resumes it."),
            Column("deleted_at", "timestamptz", "When it was deleted; the ledger still knows it."),
        ),
        (Relation("deliveries", "delivery", (("action_id", "id"),), "What it sent or owes.", many=True),),
        live="deleted_at",
        readers=VIEWERS,
    ),
)
