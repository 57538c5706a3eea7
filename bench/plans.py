"""The hot statements, and how PostgreSQL plans them: tests hold them to indexes, a benchmark to plans that stay."""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from automations.database import DedicatedConnection
from automations.delivery.dispatcher import queries as delivery
from automations.engine.evaluator import queries as evaluator
from automations.engine.heartbeats import queries as heartbeat
from automations.engine.sla import queries as sla
from automations.orchestration.queue import queries as orchestration
from automations.orchestration.scheduled_runs import queries as schedule

STATEMENTS = {
    "claim": delivery.claim,
    "finish": delivery.finish,
    "renew_leases": delivery.renew_leases,
    "give_back": delivery.give_back,
    "take_over": delivery.take_over,
    "evaluate": evaluator.evaluate,
    "is_waiting": evaluator.is_waiting,
    "take_due": sla.take_due,
    "fire_late": sla.fire_late,
    "next_due": sla.next_due,
    "runs_in_queues": orchestration.runs_in_queues,
    "touch_agents": orchestration.touch_agents,
    "end_silent_runs": heartbeat.end_silent_runs,
    "update_flow_run_heartbeat": orchestration.update_flow_run_heartbeat,
    "hold_flows_to_schedule": schedule.hold_flows_to_schedule,
    "create_flow_runs": orchestration.create_flow_runs,
    "delete_runs_ahead": schedule.delete_runs_ahead,
}


async def generic_plan(connection: DedicatedConnection, name: str) -> Any:
    """The plan in JSON that PostgreSQL comes to for a statement that is prepared once and run for months."""
    sql = STATEMENTS[name].sql
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE {name} AS {sql}")
    nulls = ", ".join(["NULL"] * len(set(re.findall(r"\$\d+", sql))))
    execute = f"EXECUTE {name} ({nulls})" if nulls else f"EXECUTE {name}"
    plan = orjson.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {execute}"))
    await connection.execute(f"DEALLOCATE {name}")
    return plan


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """All nodes of a plan in JSON."""
    if isinstance(value, dict):
        if "Node Type" in value:
            yield value
        for item in value.values():
            yield from nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from nodes(item)
