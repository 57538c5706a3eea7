"""Switching a schedule off: what is asked of the orchestration, and what it does."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from automations.actions.contract import Rejected, Sent
from automations.actions.pause_schedule import PauseSchedule
from automations.database import Database
from automations.events import AGENT_SLA_FAILED
from automations.http import Http
from automations.orchestration.local import LocalOrchestration
from tests.actions.stage import PlayedOrchestration, delivery, outcome, tools
from tests.harness import Automations

http = Http()
SCHEDULE = {"clocks": [{"type": "IntervalClock", "interval": 60_000_000}]}


@pytest.fixture
async def local(database_url: str) -> AsyncIterator[LocalOrchestration]:
    database = Database(database_url, pool_size=1)
    await database.connect()
    yield LocalOrchestration(database)
    await database.disconnect()


async def new_version(server: Automations, group: str = "etl", **serialized: Any) -> dict[str, Any]:
    """A new version of a flow: its row."""
    project = await server.write("create_project", name=f"project {uuid4().hex}")
    made = await server.write(
        "create_flow",
        project_id=project["id"],
        serialized_flow={"name": "etl", **serialized},
        version_group_id=group,
    )
    data = await server.execute(
        f'{{ flow_by_pk(id: "{made["id"]}") {{ id flow_group_id tenant_id is_schedule_active }} }}'
    )
    return dict(data["flow_by_pk"])


async def scheduled_flow(server: Automations, group: str = "etl") -> dict[str, Any]:
    """A new version of a flow whose schedule is on: its row."""
    flow = await new_version(server, group, schedule=SCHEDULE)
    assert flow["is_schedule_active"]
    return flow


async def active(server: Automations) -> set[str]:
    """Ids of the flows whose schedule is on."""
    data = await server.execute("{ flow(where: {is_schedule_active: {_eq: true}}) { id } }")
    return {row["id"] for row in data["flow"]}


async def test_group_of_the_event_is_paused_or_the_one_that_is_named() -> None:
    orchestration, owed, named = PlayedOrchestration(), delivery(), uuid4()
    for action in (PauseSchedule(), PauseSchedule(flow_group_id=str(named))):
        result = await outcome(action, owed, tools(http, orchestration=orchestration))
        assert isinstance(result, Sent)
        assert result.note == "The schedule is off"
    assert orchestration.paused == [UUID(str(owed.event["flow_group_id"])), named]


async def test_agent_event_pauses_the_group_that_is_named() -> None:
    orchestration, named = PlayedOrchestration(), uuid4()
    action = PauseSchedule(flow_group_id=str(named))
    assert (action.needs_flow_run, PauseSchedule().needs_flow_run) == (False, True)
    await outcome(action, delivery(AGENT_SLA_FAILED), tools(http, orchestration=orchestration))
    assert orchestration.paused == [named]


async def test_test_pauses_nothing_and_says_so() -> None:
    orchestration = PlayedOrchestration()
    result = await outcome(PauseSchedule(), delivery(is_test=True), tools(http, orchestration=orchestration))
    assert isinstance(result, Sent)
    assert "nothing" in (result.note or "")
    assert orchestration.paused == []


async def test_only_the_newest_version_of_this_group_is_switched_off(
    server: Automations, local: LocalOrchestration
) -> None:
    await scheduled_flow(server)
    flow, other = await scheduled_flow(server), await scheduled_flow(server, "other")
    owed = replace(delivery(flow_group_id=flow["flow_group_id"]), tenant_id=UUID(flow["tenant_id"]))
    for _ in range(2):  # as often as one likes
        assert isinstance(await outcome(PauseSchedule(), owed, tools(http, orchestration=local)), Sent)
        assert await active(server) == {other["id"]}


async def test_group_of_another_tenant_is_not_touched(server: Automations, local: LocalOrchestration) -> None:
    flow = await scheduled_flow(server)
    owed = delivery(flow_group_id=flow["flow_group_id"])
    for action in (PauseSchedule(), PauseSchedule(flow_group_id=flow["flow_group_id"])):
        result = await outcome(action, owed, tools(http, orchestration=local))
        assert isinstance(result, Rejected)
        assert "no flow in the flow group" in result.reason
    assert await active(server) == {flow["id"]}


async def test_automation_pauses_the_schedule_of_the_flow_that_failed(server: Automations) -> None:
    flow = await scheduled_flow(server)
    await server.automation({"pause_schedule": {}})
    await server.set_state(await server.run(flow["id"]), "Failed")
    [sent] = await server.settled(1)
    assert (sent["status"], sent["reason"]) == ("DELIVERED", "The schedule is off")
    assert await active(server) == set()
