"""What can be read, one declaration a table: its columns, its relations, and who may see its rows.

The GraphQL types, the filters and the SQL all follow from here. Rows are always those of the caller's tenant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from automations.access.roles import ADMINS, EVERYBODY, VIEWERS, Roles

ColumnType = Literal["uuid", "text", "integer", "boolean", "timestamptz", "jsonb", "text[]"]


@dataclass(frozen=True)
class Column:
    """A column. `function` names an SQL function of other columns that it is computed with."""

    name: str
    type: ColumnType
    description: str
    nullable: bool = True
    function: str | None = None
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Relation:
    """Rows of another table. `on` pairs its columns with ours; `source` and `order` are set for joins over a view."""

    name: str
    table: str
    on: tuple[tuple[str, str], ...]
    description: str
    many: bool = False
    source: str | None = None
    order: str | None = None


@dataclass(frozen=True)
class Table:
    """A table or view, and the roles that see its rows.

    `live` is the column that is null in rows that were not deleted: others are not listed.
    """

    name: str
    source: str
    description: str
    columns: tuple[Column, ...]
    relations: tuple[Relation, ...] = ()
    tenant_column: str = "tenant_id"
    key: str = "id"
    live: str | None = None
    readers: Roles = field(kw_only=True)

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def relation(self, name: str) -> Relation | None:
        return next((relation for relation in self.relations if relation.name == name), None)


def _id(noun: str) -> Column:
    return Column("id", "uuid", f"Id of the {noun}.", nullable=False)


_TENANT_ID = Column("tenant_id", "uuid", "The tenant it belongs to.")
_CREATED = Column("created", "timestamptz", "When it was made.", nullable=False)
_UPDATED = Column("updated", "timestamptz", "When it was changed last.", nullable=False)
_STAMPS = (_CREATED, _UPDATED)
_EVENT_TYPE = Column(
    "event_type",
    "text",
    "FlowRunStateChangedEvent, FlowSLAFailedEvent, AgentSLAFailedEvent or ServerProblemEvent.",
    nullable=False,
)

# Of every run, of a flow or of a task.
_RUN_STATE = (
    Column("state", "text", "Name of its present state."),
    Column("state_message", "text", "Message of its present state."),
    Column("state_timestamp", "timestamptz", "When it entered its present state."),
    Column("state_start_time", "timestamptz", "When it may start, while it is Scheduled."),
    Column("state_result", "jsonb", "Result that its present state carries."),
    Column("serialized_state", "jsonb", "Its present state as the client sent it."),
    Column("version", "integer", "Counts its states, from 1.", nullable=False),
    Column("start_time", "timestamptz", "When it entered Running."),
    Column("end_time", "timestamptz", "When it finished."),
    Column("heartbeat", "timestamptz", "When it was heard of last."),
)
_STATE = (
    Column("timestamp", "timestamptz", "When the run entered it.", nullable=False),
    Column("state", "text", "Its name.", nullable=False),
    Column("message", "text", "Its message."),
    Column("result", "jsonb", "The result that it carries."),
    Column("start_time", "timestamptz", "When a Scheduled run may start."),
    Column("serialized_state", "jsonb", "The state as the client sent it.", nullable=False),
    Column("version", "integer", "The run's version with this state."),
)

TABLES: Sequence[Table] = (
    Table(
        "tenant",
        "public.tenant",
        "A team with flows, automations and secrets of its own.",
        (
            _id("tenant"),
            *_STAMPS,
            Column("name", "text", "Its name.", nullable=False),
            Column("slug", "text", "Its name in addresses.", nullable=False),
            Column("settings", "jsonb", "Its settings.", nullable=False),
        ),
        (Relation("projects", "project", (("tenant_id", "id"),), "Its projects.", many=True),),
        tenant_column="id",
        readers=EVERYBODY,
    ),
    Table(
        "project",
        "public.project",
        "A folder of flows.",
        (
            _id("project"),
            _TENANT_ID,
            *_STAMPS,
            Column("name", "text", "Its name, unique in the tenant.", nullable=False),
            Column("description", "text", "What it is for."),
        ),
        (
            Relation("flows", "flow", (("project_id", "id"),), "Its flows, all versions.", many=True),
            Relation("tenant", "tenant", (("id", "tenant_id"),), "The tenant it belongs to."),
        ),
        readers=EVERYBODY,
    ),
    Table(
        "flow_group",
        "public.flow_group",
        "All versions of one flow; automations watch flow groups.",
        (
            _id("flow group"),
            _TENANT_ID,
            *_STAMPS,
            Column("name", "text", "The version group's id."),
            Column("description", "text", "What it is for."),
            Column("labels", "jsonb", "Labels of runs that name none."),
            Column("schedule", "jsonb", "Schedule in place of the flow's own."),
            Column("settings", "jsonb", "Settings.", nullable=False),
            Column("default_parameters", "jsonb", "Parameters of runs that name none.", nullable=False),
            Column("run_config", "jsonb", "Run configuration in place of the flow's own."),
        ),
        (
            Relation("flows", "flow", (("flow_group_id", "id"),), "The versions.", many=True),
            Relation("slas", "flow_group_sla", (("flow_group_id", "id"),), "The SLAs of its own.", many=True),
            Relation("tenant", "tenant", (("id", "tenant_id"),), "The tenant it belongs to."),
        ),
        readers=EVERYBODY,
    ),
    Table(
        "flow",
        "public.flow",
        "One registered version of a flow.",
        (
            _id("flow"),
            _TENANT_ID,
            *_STAMPS,
            Column("name", "text", "Its name.", nullable=False),
            Column("version", "integer", "Number of the version in its flow group, from 1.", nullable=False),
            Column("version_group_id", "text", "The version group it belongs to."),
            Column("flow_group_id", "uuid", "The flow group it belongs to.", nullable=False),
            Column("project_id", "uuid", "The project it belongs to.", nullable=False),
            Column("description", "text", "What it does."),
            Column("archived", "boolean", "Whether a newer version has taken its place.", nullable=False),
            Column("is_schedule_active", "boolean", "Whether its schedule makes runs.", nullable=False),
            Column("core_version", "text", "Version of Prefect that it was registered with."),
            Column("parameters", "jsonb", "Its parameters."),
            Column("schedule", "jsonb", "Its schedule."),
            Column("environment", "jsonb", "Its environment."),
            Column("storage", "jsonb", "Where its code lies."),
            Column("run_config", "jsonb", "Its run configuration."),
            Column("settings", "jsonb", "Settings.", nullable=False),
            Column("serialized_flow", "jsonb", "The flow as it was registered."),
        ),
        (
            Relation("project", "project", (("id", "project_id"),), "The project it belongs to."),
            Relation("flow_group", "flow_group", (("id", "flow_group_id"),), "The flow group it belongs to."),
            Relation("flow_runs", "flow_run", (("flow_id", "id"),), "Its runs.", many=True),
            Relation("tasks", "task", (("flow_id", "id"),), "Its tasks.", many=True),
            Relation("edges", "edge", (("flow_id", "id"),), "Which task follows which.", many=True),
        ),
        readers=EVERYBODY,
    ),
    Table(
        "task",
        "public.task",
        "A step of a flow.",
        (
            _id("task"),
            _TENANT_ID,
            *_STAMPS,
            Column("flow_id", "uuid", "The flow version it belongs to.", nullable=False),
            Column("name", "text", "Its name."),
            Column("slug", "text", "Its name in the flow, unique there.", nullable=False),
            Column("description", "text", "What it does."),
            Column("type", "text", "The Python class that it is of."),
            Column("max_retries", "integer", "How often it is tried again.", nullable=False),
            Column(
                "retry_delay",
                "text",
                "How long it waits before it is tried again: hours, minutes and seconds.",
                function="pg_catalog.justify_hours",
                arguments=("retry_delay",),
            ),
            Column("trigger", "text", "The Python function that decides whether it runs."),
            Column("tags", "jsonb", "Its tags.", nullable=False),
            Column("mapped", "boolean", "Whether it runs once for each item.", nullable=False),
            Column("auto_generated", "boolean", "Whether nobody wrote it.", nullable=False),
            Column("cache_key", "text", "Name of the cache it shares."),
            Column("is_reference_task", "boolean", "Whether its state decides the run's.", nullable=False),
            Column("is_root_task", "boolean", "Whether it follows none.", nullable=False),
            Column("is_terminal_task", "boolean", "Whether none follows it.", nullable=False),
        ),
        (
            Relation("flow", "flow", (("id", "flow_id"),), "The flow version it belongs to."),
            Relation("task_runs", "task_run", (("task_id", "id"),), "Its runs.", many=True),
            Relation("upstream_edges", "edge", (("downstream_task_id", "id"),), "What it follows.", many=True),
            Relation("downstream_edges", "edge", (("upstream_task_id", "id"),), "What follows it.", many=True),
        ),
        readers=EVERYBODY,
    ),
    Table(
        "edge",
        "public.edge",
        "One task follows another.",
        (
            _id("edge"),
            _TENANT_ID,
            *_STAMPS,
            Column("flow_id", "uuid", "The flow version it belongs to.", nullable=False),
            Column("upstream_task_id", "uuid", "The earlier task.", nullable=False),
            Column("downstream_task_id", "uuid", "The later task.", nullable=False),
            Column("key", "text", "The later one's argument that the earlier one's result becomes."),
            Column("mapped", "boolean", "Whether the later one runs once for each item of it.", nullable=False),
        ),
        (
            Relation("flow", "flow", (("id", "flow_id"),), "The flow version it belongs to."),
            Relation("upstream_task", "task", (("id", "upstream_task_id"),), "The earlier task."),
            Relation("downstream_task", "task", (("id", "downstream_task_id"),), "The later task."),
        ),
        readers=EVERYBODY,
    ),
    Table(
        "flow_run",
        "public.flow_run",
        "One run of a flow.",
        (
            _id("flow run"),
            _TENANT_ID,
            *_STAMPS,
            Column("flow_id", "uuid", "The flow version that runs.", nullable=False),
            Column("name", "text", "Its name."),
            *_RUN_STATE,
            Column("scheduled_start_time", "timestamptz", "When it was to start.", nullable=False),
            Column("auto_scheduled", "boolean", "Whether a schedule made it.", nullable=False),
            Column("parameters", "jsonb", "Its parameters."),
            Column("context", "jsonb", "Its context."),
            Column("labels", "jsonb", "Labels that its agent must have.", nullable=False),
            Column("run_config", "jsonb", "Its run configuration."),
            Column("idempotency_key", "text", "Key under which it was asked for."),
            Column("times_resurrected", "integer", "How often it was started again.", nullable=False),
            Column("agent_id", "uuid", "The agent that took it."),
        ),
        (
            Relation("flow", "flow", (("id", "flow_id"),), "The flow version that runs."),
            Relation("states", "flow_run_state", (("flow_run_id", "id"),), "Its states.", many=True),
            Relation("agent", "agent", (("id", "agent_id"),), "The agent that took it."),
            Relation("tenant", "tenant", (("id", "tenant_id"),), "The tenant it belongs to."),
            Relation("firings", "firing", (("flow_run_id", "id"),), "What fired because of it.", many=True),
            Relation("task_runs", "task_run", (("flow_run_id", "id"),), "Its task runs.", many=True),
            Relation("logs", "log", (("flow_run_id", "id"),), "What it logged, its tasks included.", many=True),
        ),
        readers=EVERYBODY,
    ),
    Table(
        "task_run",
        "public.task_run",
        "What becomes of one task in one flow run.",
        (
            _id("task run"),
            _TENANT_ID,
            *_STAMPS,
            Column("flow_run_id", "uuid", "The flow run.", nullable=False),
            Column("task_id", "uuid", "The task.", nullable=False),
            Column("map_index", "integer", "-1, or which child of a mapped task it is, from 0.", nullable=False),
            Column("name", "text", "Its name."),
            *_RUN_STATE,
            Column("cache_key", "text", "Name of the cache it shares."),
        ),
        (
            Relation("flow_run", "flow_run", (("id", "flow_run_id"),), "The flow run."),
            Relation("task", "task", (("id", "task_id"),), "The task."),
            Relation("states", "task_run_state", (("task_run_id", "id"),), "Its states.", many=True),
            Relation("logs", "log", (("task_run_id", "id"),), "What it logged.", many=True),
        ),
        readers=EVERYBODY,
    ),
    Table(
        "task_run_state",
        "public.task_run_state",
        "A state that a task run entered.",
        (
            _id("state"),
            _TENANT_ID,
            *_STAMPS,
            Column("task_run_id", "uuid", "The task run.", nullable=False),
            *_STATE,
        ),
        (Relation("task_run", "task_run", (("id", "task_run_id"),), "The task run."),),
        readers=EVERYBODY,
    ),
    Table(
        "log",
        "public.log",
        "A line that a run logged.",
        (
            _id("line"),
            _TENANT_ID,
            *_STAMPS,
            Column("flow_run_id", "uuid", "The flow run."),
            Column("task_run_id", "uuid", "The task run, where one logged it."),
            Column("timestamp", "timestamptz", "When it was logged.", nullable=False),
            Column("name", "text", "Name of the logger."),
            Column("level", "text", "DEBUG, INFO, WARNING, ERROR or CRITICAL."),
            Column("message", "text", "The line."),
            Column("info", "jsonb", "What else the logger knew."),
        ),
        (
            Relation("flow_run", "flow_run", (("id", "flow_run_id"),), "The flow run."),
            Relation("task_run", "task_run", (("id", "task_run_id"),), "The task run."),
        ),
        readers=EVERYBODY,
    ),
    Table(
        "flow_run_state",
        "public.flow_run_state",
        "A state that a run entered.",
        (
            _id("state"),
            _TENANT_ID,
            *_STAMPS,
            Column("flow_run_id", "uuid", "The run.", nullable=False),
            *_STATE,
        ),
        (Relation("flow_run", "flow_run", (("id", "flow_run_id"),), "The run."),),
        readers=EVERYBODY,
    ),
    Table(
        "agent",
        "public.agent",
        "A process that asks for runs and starts them.",
        (
            _id("agent"),
            _TENANT_ID,
            *_STAMPS,
            Column("agent_config_id", "uuid", "The agent config it shares with its group."),
            Column("name", "text", "Its name."),
            Column("type", "text", "Its type, such as LocalAgent."),
            Column("core_version", "text", "Version of Prefect that it runs."),
            Column("labels", "jsonb", "Its labels.", nullable=False),
            Column("last_queried", "timestamptz", "When it asked for work last: its only sign of life."),
        ),
        (
            Relation("agent_config", "agent_config", (("id", "agent_config_id"),), "Its agent config."),
            Relation("flow_runs", "flow_run", (("agent_id", "id"),), "The runs that it took.", many=True),
            Relation("tenant", "tenant", (("id", "tenant_id"),), "The tenant it belongs to."),
        ),
        readers=EVERYBODY,
    ),
    Table(
        "agent_config",
        "public.agent_config",
        "A group of agents with common settings.",
        (
            _id("agent config"),
            _TENANT_ID,
            *_STAMPS,
            Column("name", "text", "Its name."),
            Column("settings", "jsonb", "Its settings.", nullable=False),
        ),
        (Relation("agents", "agent", (("agent_config_id", "id"),), "Its agents.", many=True),),
        readers=EVERYBODY,
    ),
    Table(
        "flow_sla_config",
        "automations.flow_sla_config",
        "By when runs must have started or finished.",
        (
            _id("SLA"),
            _TENANT_ID,
            *_STAMPS,
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
            _id("link"),
            _TENANT_ID,
            _CREATED,
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
            _id("automation"),
            _TENANT_ID,
            *_STAMPS,
            Column("name", "text", "Its name.", nullable=False),
            Column("description", "text", "What it is for."),
            Column("enabled", "boolean", "Whether it fires.", nullable=False),
            _EVENT_TYPE,
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
            _id("automation"),
            _TENANT_ID,
            *_STAMPS,
            _EVENT_TYPE,
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
            _id("action"),
            _TENANT_ID,
            *_STAMPS,
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
    Table(
        "firing",
        "automations.firing",
        "An event met an automation.",
        (
            _id("firing"),
            _TENANT_ID,
            _CREATED,
            Column("automation_id", "uuid", "The automation."),
            _EVENT_TYPE,
            Column("event_id", "uuid", "Id of the event: the same happening has the same id.", nullable=False),
            Column("event", "jsonb", "The event's attributes as they were.", nullable=False),
            Column("flow_run_id", "uuid", "The flow run, where the event has one."),
            Column("depth", "integer", "How many automations set one another off to get here.", nullable=False),
            Column("is_test", "boolean", "Whether somebody tried things out.", nullable=False),
        ),
        (
            Relation("automation", "automation", (("id", "automation_id"),), "The automation."),
            Relation("deliveries", "delivery", (("firing_id", "id"),), "What is owed because of it.", many=True),
            Relation("flow_run", "flow_run", (("id", "flow_run_id"),), "The flow run."),
        ),
        readers=VIEWERS,
    ),
    Table(
        "delivery",
        "automations.delivery",
        "One action owed because of one firing.",
        (
            _id("delivery"),
            _TENANT_ID,
            _CREATED,
            Column("firing_id", "uuid", "The firing.", nullable=False),
            Column("automation_id", "uuid", "The automation."),
            Column("action_id", "uuid", "The action.", nullable=False),
            Column("action_type", "text", "The client, such as SlackNotificationAction.", nullable=False),
            Column("destination", "text", "Where it goes: what it shares its limits with.", nullable=False),
            Column("status", "text", "PENDING, SENDING, DELIVERED, FAILED or SUPPRESSED.", nullable=False),
            Column("attempt_count", "integer", "How often sending was begun.", nullable=False),
            Column("due_at", "timestamptz", "When it is tried next."),
            Column("started_at", "timestamptz", "When the latest attempt began."),
            Column("finished_at", "timestamptz", "When it was delivered, given up or suppressed."),
            Column("status_code", "integer", "HTTP status of the latest answer."),
            Column("target", "text", "Which of the action's receivers it is for, where there are several."),
            Column("redelivery_of", "uuid", "The delivery that it repeats because somebody asked for it."),
            Column("reason", "text", "Why it is not delivered, or a note on how it was."),
            Column(
                "waits_for",
                "text",
                "What a PENDING one waits for, in words.",
                function="automations.waits_for",
                arguments=(
                    "tenant_id",
                    "id",
                    "status",
                    "due_at",
                    "attempt_count",
                    "destination",
                    "action_id",
                    "subject",
                    "is_ordered",
                ),
            ),
            Column("is_test", "boolean", "Whether somebody tried things out.", nullable=False),
        ),
        (
            Relation("firing", "firing", (("id", "firing_id"),), "The firing."),
            Relation("automation", "automation", (("id", "automation_id"),), "The automation."),
            Relation("action", "action", (("id", "action_id"),), "The action."),
            Relation("attempts", "attempt", (("delivery_id", "id"),), "Every attempt.", many=True),
        ),
        readers=VIEWERS,
    ),
    Table(
        "destination",
        "automations.destination",
        "A destination that has a rate limit or had trouble; one that is unlimited and healthy is not listed.",
        (
            _id("destination"),
            _TENANT_ID,
            *_STAMPS,
            Column("name", "text", "Its name, as deliveries and actions have it.", nullable=False),
            Column("failures", "integer", "Transient failures in a row.", nullable=False),
            Column(
                "open_until",
                "timestamptz",
                "Nothing is sent until then, and from then on one delivery at a time until one arrives; null while it "
                "works.",
            ),
            Column("held_until", "timestamptz", "It asked to wait until then."),
            Column("reason", "text", "Why the latest attempt failed."),
        ),
        readers=VIEWERS,
    ),
    Table(
        "attempt",
        "automations.attempt",
        "One try to send a delivery.",
        (
            _id("attempt"),
            _TENANT_ID,
            Column("delivery_id", "uuid", "The delivery.", nullable=False),
            Column("number", "integer", "The how-manieth attempt, from 1.", nullable=False),
            Column("started_at", "timestamptz", "When it began.", nullable=False),
            Column("finished_at", "timestamptz", "When it ended.", nullable=False),
            Column("outcome", "text", "DELIVERED, RETRY, FAILED; LOST where the sender died.", nullable=False),
            Column("status_code", "integer", "HTTP status of the answer."),
            Column("reason", "text", "Why it did not arrive, or a note on how it did."),
            Column("request", "jsonb", "What was sent, without secrets."),
            Column("answer", "text", "The first 4 KB of what came back."),
        ),
        (Relation("delivery", "delivery", (("id", "delivery_id"),), "The delivery."),),
        readers=VIEWERS,
    ),
    Table(
        "api_key",
        "automations.api_key",
        "A key to this API. The key itself is shown once, when it is made.",
        (
            _id("key"),
            _TENANT_ID,
            _CREATED,
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
            _id("audit event"),
            _TENANT_ID,
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

FOR_VIEWERS: Mapping[str, str] = {
    "automations.action": "automations.action_for_viewers",
    "automations.automation_step": "automations.automation_step_for_viewers",
}
"""What is read in place of these rows by roles that may not change them: the same without credentials."""

BY_NAME: dict[str, Table] = {table.name: table for table in TABLES}

EVERY_TENANT = replace(BY_NAME["tenant"], source="automations.every_tenant($1)", tenant_column="speaker_id")
"""The table `tenant` as a key for all tenants reads it; what hangs on the rows is of the tenant that it speaks for."""
