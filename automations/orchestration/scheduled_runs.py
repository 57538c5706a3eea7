"""Runs that schedules make ahead: made for the flows that want some, and gone where a schedule is switched off.

As Prefect Server does: a schedule has runs for its next ten times, each known by its time, and what somebody deleted or
cancelled of them is not made again.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson
import structlog

from automations.database import Connection, Record, load_queries
from automations.errors import InvalidInput, NotFound
from automations.orchestration.runs import NewRun, create_flow_runs
from automations.orchestration.schedules import read_schedule

log = structlog.get_logger(__name__)
queries = load_queries("schedule")

AHEAD: Final = 10
BATCH: Final = 100
FIRST: Final = UUID(int=0)
LAST: Final = UUID(int=2**128 - 1)


@dataclass(frozen=True)
class Look:
    """What came of a look at flows: how many runs were made; whose schedules gave fewer times than they should have;

    and where the next look begins, None after the last flow.
    """

    runs: int = 0
    short: list[UUID] = field(default_factory=list)
    next: UUID | None = None


async def set_schedule_active(
    connection: Connection, tenant_id: UUID, flow_id: UUID, *, active: bool, now: datetime
) -> None:
    """Switch a flow's schedule on, and make its first runs; or off, and delete those that did not start.

    Needs a transaction. InvalidInput for a schedule that can make no runs, and for an archived flow.
    """
    row = await queries.hold_schedule(connection, tenant_id=tenant_id, flow_id=flow_id)
    if row is None:
        raise NotFound(f"There is no flow {flow_id}.")
    if active:
        _check(row)
    await queries.set_schedule_active(connection, tenant_id=tenant_id, flow_id=flow_id, active=active)
    if active:
        await make_runs_ahead(connection, now=now, first=flow_id, last=flow_id)
    else:
        await delete_runs_ahead(connection, tenant_id, flow_id)


async def delete_runs_ahead(connection: Connection, tenant_id: UUID, flow_id: UUID) -> None:
    """Delete what schedules that are off made ahead, of this version of a flow and of its others."""
    await queries.delete_runs_ahead(connection, tenant_id=tenant_id, flow_id=flow_id)


async def make_runs_ahead(
    connection: Connection,
    *,
    now: datetime,
    first: UUID = FIRST,
    last: UUID = LAST,
    passed_over: Collection[UUID] = (),
    batch: int = BATCH,
) -> Look:
    """Make the runs that the schedules of some flows, from the first id to the last one, want. Needs a transaction."""
    rows = [
        row
        async for row in queries.hold_flows_to_schedule(
            connection, now=now, ahead=AHEAD, first=first, last=last, passed_over=list(passed_over), batch=batch
        )
    ]
    if not rows:
        return Look()
    wanted = await asyncio.to_thread(lambda: [_wanted(row, now) for row in rows])  # filters may refuse many times
    made = await create_flow_runs(connection, [run for runs in wanted for run in runs], auto_scheduled=True)
    return Look(
        runs=sum(row["is_new"] for row in made),
        short=[row["id"] for row, runs in zip(rows, wanted, strict=True) if len(runs) < row["wanted"]],
        next=UUID(int=rows[-1]["id"].int + 1) if len(rows) == batch else None,
    )


def _check(row: Record) -> None:
    if row["archived"]:
        raise InvalidInput("An archived flow has no schedule: register the flow again.")
    if row["schedule"] is None:
        return
    schedule = read_schedule(orjson.loads(row["schedule"]))
    missing = {name for clock in schedule.clocks for name in row["required"] if name not in clock.parameters}
    if missing:
        raise InvalidInput(
            "Can not schedule a flow that has required parameters: its clocks or its flow group have to give "
            f"{', '.join(sorted(missing))}."
        )


def _wanted(row: Record, now: datetime) -> list[NewRun]:
    try:
        schedule = read_schedule(orjson.loads(row["schedule"]))
    except InvalidInput as error:
        log.warning("a schedule makes no runs", flow_id=str(row["id"]), reason=str(error))
        return []
    events = schedule.next(row["wanted"], now=now, latest=row["latest"])
    return [
        NewRun(
            tenant_id=row["tenant_id"],
            flow_id=row["id"],
            scheduled_start_time=event.start_time,
            parameters=event.parameters,
            labels=event.labels,
            idempotency_key=event.key,
        )
        for event in events
    ]
