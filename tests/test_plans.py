"""The hot statements among 100,000 rows: each reads what it needs through an index, whoever plans it.

So do the queries that `bench/filters.py` measures among a million runs.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from graphql import FieldNode, OperationDefinitionNode, parse

from automations.access.roles import Role
from automations.api.schema import schema
from automations.api.select import Statement, compile_aggregate, compile_list
from automations.api.selection import Document, read_field
from automations.api.tables import BY_NAME
from automations.database import DedicatedConnection
from bench import seed
from bench.filters import FLOWS, PROJECTS, filters
from bench.plans import STATEMENTS, generic_plan, nodes

HOT = {
    "agent", "delivery", "destination", "firing", "flow", "flow_run", "flow_run_state", "sla_timer", "state_change",
    "task_run",
}  # fmt: skip

# 100,000 changes that wait and as many deliveries, 2,000 of them owed to 200 destinations, some of them in an order,
# and enough destinations, flows, runs, task runs, states, agents and firings that reading them all would show: most of
# them are history. Triggers and keys would take most of the time.
FILL = """
SET session_replication_role = replica;
INSERT INTO tenant (name, slug) VALUES ('a', 'a');
INSERT INTO project (tenant_id, name) SELECT id, 'p' FROM tenant;
INSERT INTO flow_group (tenant_id, name) SELECT id, 'g' FROM tenant;
INSERT INTO flow (tenant_id, name, project_id, flow_group_id)
SELECT tenant.id, 'f', project.id, flow_group.id FROM tenant, project, flow_group;
INSERT INTO task (tenant_id, flow_id, slug) SELECT tenant_id, id, 't' FROM flow;
INSERT INTO flow_run (tenant_id, flow_id, name, state, auto_scheduled)
SELECT tenant_id, id, 'run ' || number,
    (ARRAY['Scheduled', 'Running', 'Cancelling'])[number], number % 2 = 0
FROM flow, generate_series(1, 10000) AS number;
UPDATE flow_run SET state = 'Success' WHERE state IS NULL;
INSERT INTO task_run (tenant_id, flow_run_id, task_id, state, state_start_time)
SELECT flow_run.tenant_id, flow_run.id, task.id, 'Success', CASE flow_run.name WHEN 'run 2' THEN now() END
FROM flow_run, task;
INSERT INTO flow (tenant_id, name, project_id, flow_group_id, version, archived)
SELECT tenant_id, name, project_id, flow_group_id, version + number, true
FROM flow, generate_series(1, 10000) AS number;
INSERT INTO agent (tenant_id, name) SELECT id, 'agent ' || number FROM tenant, generate_series(1, 10000) AS number;
INSERT INTO flow_run_state (tenant_id, flow_run_id, state, version) SELECT tenant_id, id, 'Failed', 1 FROM flow_run;
INSERT INTO automations.firing (tenant_id, event_type, event_id, event)
SELECT tenant_id, 'FlowRunStateChangedEvent', id, '{}' FROM flow_run;
INSERT INTO automations.sla_timer (tenant_id, flow_sla_config_id, flow_run_id, version, anchored_at, due_at)
SELECT tenant_id, tenant_id, id, 1, now(), now() FROM flow_run;
INSERT INTO automations.state_change (tenant_id, flow_run_id, flow_run_state_id, state)
SELECT tenant_id, flow_run_id, id, 'failed' FROM flow_run_state, generate_series(1, 10);
INSERT INTO automations.destination (tenant_id, name, failures)
SELECT id, 'destination ' || number, 1 FROM tenant, generate_series(1, 10000) AS number;
INSERT INTO automations.delivery
    (tenant_id, firing_id, action_id, subject, is_ordered, action_type, destination, status, due_at, lease_until,
    finished_at)
SELECT tenant_id, id, id, 'run ' || number % 300, number % 10 = 0, 'WebhookAction', 'destination ' || number % 200,
    CASE WHEN number <= 2000 THEN 'PENDING' WHEN number <= 2400 THEN 'SENDING' ELSE 'DELIVERED' END,
    CASE WHEN number <= 2000 THEN now() END,
    CASE WHEN number BETWEEN 2001 AND 2400 THEN now() END,
    CASE WHEN number > 2400 THEN now() END
FROM (SELECT tenant_id, id, row_number() OVER () AS number FROM automations.firing, generate_series(1, 10)) AS fired;
ANALYZE;
"""


async def test_hot_statements_scan_no_table(connection: DedicatedConnection) -> None:
    """In the generic plan, which PostgreSQL comes to for a statement that is prepared once and run for months."""
    await connection.execute(FILL)
    for name in STATEMENTS:
        plan = await generic_plan(connection, name)
        scanned = {node["Relation Name"] for node in nodes(plan) if "Seq Scan" in node["Node Type"]}
        used = {node.get("Relation Name") for node in nodes(plan)}
        assert used & HOT, name
        assert not scanned & HOT, name


RUNS = 100_000
MOST_ROWS, MOST_ENTRIES = 4_500, 12_000  # of the table, and of its indexes alone


async def test_pages_read_few_of_the_runs_there_are(connection: DedicatedConnection, tenant_id: UUID) -> None:
    """Planned for their values, as reads are. An index that is read from end to end is no better than the table."""
    await seed.flows(connection, tenant_id, FLOWS, projects=PROJECTS)
    await seed.history(connection, tenant_id, RUNS, flows=FLOWS, per_day=RUNS // 100)
    await connection.execute("VACUUM (ANALYZE)")
    for name, query in filters(datetime.now(UTC)).items():
        statement = compiled(query, tenant_id)
        explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}"
        plan = orjson.loads(await connection.fetchval(explained, *statement.arguments))
        indexes = [node for node in nodes(plan) if node["Node Type"] in {"Bitmap Index Scan", "Index Only Scan"}]
        rows = [node for node in nodes(plan) if node.get("Relation Name") == "flow_run" and node not in indexes]
        assert [*indexes, *rows], name
        assert not [scan for scan in rows if scan["Node Type"] == "Seq Scan"], name
        assert sum(map(read_by, rows)) <= MOST_ROWS, name
        assert sum(map(read_by, indexes)) <= MOST_ENTRIES, name


async def test_heartbeats_of_runs_touch_no_index(connection: DedicatedConnection) -> None:
    """Else each of them would write to every index of the table."""
    held = await connection.fetch(
        "SELECT DISTINCT attname FROM pg_index, pg_attribute "
        "WHERE indrelid = 'public.flow_run'::regclass AND attrelid = indrelid AND attnum = ANY(indkey)"
    )
    columns = {row["attname"] for row in held}
    assert "state" in columns
    assert not columns & {"heartbeat", "updated"}


def compiled(query: str, tenant_id: UUID) -> Statement:
    """The statement of a query's only root field."""
    [operation] = parse(query).definitions
    assert isinstance(operation, OperationDefinitionNode)
    [node] = operation.selection_set.selections
    assert isinstance(node, FieldNode)
    root = schema._schema.query_type
    assert root is not None
    field = read_field(Document({}, {}), [node], root.fields[node.name.value])
    compile_ = compile_aggregate if field.name.endswith("_aggregate") else compile_list
    table = BY_NAME[field.name.removesuffix("_aggregate")]
    return compile_(table, field, tenant_id, most_rows=1000, role=Role.ADMIN, sources={})


def read_by(scan: dict[str, Any]) -> float:
    """Rows or entries: those that it gave and those that it looked at in vain."""
    removed = scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
    return float((scan["Actual Rows"] + removed) * scan["Actual Loops"])
