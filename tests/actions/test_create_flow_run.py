"""Scheduling a run: what is asked of the orchestration, and what it does."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from automations.actions import parse_config
from automations.actions.contract import InvalidConfig, Rejected, Sent
from automations.actions.create_flow_run import CreateFlowRun
from automations.database import Database
from automations.events import AGENT_SLA_FAILED
from automations.http import Http
from automations.orchestration.local import LocalOrchestration
from tests.actions.conformance import HOSTILE
from tests.actions.stage import PlayedOrchestration, delivery, outcome, tools
from tests.actions.test_pause_schedule import new_version
from tests.harness import Automations, running

http = Http()


@pytest.fixture
async def local(database_url: str) -> AsyncIterator[LocalOrchestration]:
    database = Database(database_url, pool_size=1)
    await database.connect()
    yield LocalOrchestration(database)
    await database.disconnect()


async def runs(server: Automations) -> list[dict[str, Any]]:
    data = await server.execute("{ flow_run(order_by: {created: asc}) { id flow_id name parameters state } }")
    return list(data["flow_run"])


async def test_run_of_the_events_flow_is_asked_for_with_what_is_rendered() -> None:
    orchestration, owed = PlayedOrchestration(), delivery()
    action = CreateFlowRun(
        parameters={"of": "{flow_run_id}", "{state}": [1, None, "{flow_name}"]}, run_name="after {flow_run_name}"
    )
    used = tools(http, orchestration=orchestration)
    result = await outcome(action, owed, used)
    assert isinstance(result, Sent)
    assert result.note == f"The run is {owed.id}"
    parameters = {"of": owed.event["flow_run_id"], "Failed": [1, None, "nightly-etl"]}
    assert orchestration.made == [
        {
            "flow_group_id": UUID(str(owed.event["flow_group_id"])),
            "name": "after amber-otter",
            "parameters": parameters,
        }
    ]
    assert used.request["parameters"] == parameters


async def test_agent_event_makes_a_run_of_the_group_that_is_named() -> None:
    orchestration, named = PlayedOrchestration(), uuid4()
    action = CreateFlowRun(flow_group_id=str(named))
    assert (action.needs_flow_run, CreateFlowRun().needs_flow_run) == (False, True)
    await outcome(action, delivery(AGENT_SLA_FAILED), tools(http, orchestration=orchestration))
    assert orchestration.made == [{"flow_group_id": named, "name": None, "parameters": None}]


async def test_test_makes_no_run_and_says_so() -> None:
    orchestration = PlayedOrchestration()
    result = await outcome(CreateFlowRun(), delivery(is_test=True), tools(http, orchestration=orchestration))
    assert isinstance(result, Sent)
    assert "no run" in (result.note or "")
    assert orchestration.made == []


@pytest.mark.parametrize("parameters", [[], "text", 1, True])
def test_parameters_are_an_object(parameters: Any) -> None:
    with pytest.raises(InvalidConfig, match="must be an object"):
        CreateFlowRun(parameters=parameters)


def test_parameters_may_come_as_json_in_a_string() -> None:
    assert parse_config("create_flow_run", {"parameters": '{"a": 1}'}) == CreateFlowRun(parameters={"a": 1})


@pytest.mark.parametrize("written", ["etl", "", "0"])
def test_flow_group_is_a_uuid(written: str) -> None:
    with pytest.raises(InvalidConfig, match="give a UUID"):
        parse_config("create_flow_run", {"flow_group_id": written})


async def test_one_delivery_makes_one_run_also_across_a_new_version(
    server: Automations, local: LocalOrchestration
) -> None:
    first = await new_version(server)
    owed = replace(delivery(flow_group_id=first["flow_group_id"]), tenant_id=UUID(first["tenant_id"]))
    action = CreateFlowRun(parameters={"n": 1}, run_name="again")
    notes = [await outcome(action, owed, tools(http, orchestration=local)) for _ in range(2)]
    second = await new_version(server)
    notes.append(await outcome(action, owed, tools(http, orchestration=local)))
    [run] = await runs(server)
    assert (run["flow_id"], run["name"], run["parameters"], run["state"]) == (
        first["id"],
        "again",
        {"n": 1},
        "Scheduled",
    )
    assert {note.note for note in notes if isinstance(note, Sent)} == {f"The run is {run['id']}"}
    await outcome(action, replace(owed, id=uuid4()), tools(http, orchestration=local))
    assert [run["flow_id"] for run in await runs(server)] == [first["id"], second["id"]]


async def test_group_of_another_tenant_gets_no_run(server: Automations, local: LocalOrchestration) -> None:
    flow = await new_version(server)
    owed = delivery(flow_group_id=flow["flow_group_id"])
    for action in (CreateFlowRun(), CreateFlowRun(flow_group_id=flow["flow_group_id"])):
        assert isinstance(await outcome(action, owed, tools(http, orchestration=local)), Rejected)
    assert await runs(server) == []


async def test_hostile_names_reach_the_run(server: Automations, local: LocalOrchestration) -> None:
    flow = await new_version(server)
    action = CreateFlowRun(parameters={"name": "{flow_name}"}, run_name="{flow_name}")
    for text in HOSTILE.values():
        owed = delivery(flow_group_id=flow["flow_group_id"], flow_name=text)
        owed = replace(owed, tenant_id=UUID(flow["tenant_id"]))
        assert isinstance(await outcome(action, owed, tools(http, orchestration=local)), Sent)
        made = (await runs(server))[-1]
        assert made["parameters"] == {"name": text.replace("\0", "")}
        assert 1 <= len(made["name"]) <= 200


async def test_automation_that_sets_itself_off_is_stopped(database_url: str, tmp_path: Path) -> None:
    async with running(database_url, tmp_path, max_depth=3) as server:
        flow = await new_version(server)
        await server.automation({"create_flow_run": {}}, event={"flow_run_state_changed": {"states": ["Scheduled"]}})
        await server.run(flow["id"])
        deliveries = await server.settled(5)
        assert Counter(row["status"] for row in deliveries) == {"DELIVERED": 4, "SUPPRESSED": 1}
        assert len(await runs(server)) == 5
