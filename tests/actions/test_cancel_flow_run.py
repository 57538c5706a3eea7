"""Cancelling the run of the event: what is asked of the orchestration, and what it does."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest

from automations.actions.cancel_flow_run import CancelFlowRun
from automations.actions.contract import Rejected, Sent
from automations.database import Database
from automations.http import Http
from automations.orchestration.local import LocalOrchestration
from tests.actions.conformance import HOSTILE
from tests.actions.stage import PlayedOrchestration, delivery, outcome, tools
from tests.harness import Automations

http = Http()


@pytest.fixture
async def local(database_url: str) -> AsyncIterator[LocalOrchestration]:
    database = Database(database_url, pool_size=1)
    await database.connect()
    yield LocalOrchestration(database)
    await database.disconnect()


async def test_run_of_the_event_is_cancelled_in_the_name_of_the_delivery() -> None:
    orchestration, owed = PlayedOrchestration(), delivery()
    result = await outcome(CancelFlowRun(), owed, tools(http, orchestration=orchestration))
    assert isinstance(result, Sent)
    assert result.note == "The run is Cancelling"
    [asked] = orchestration.asked
    assert (asked.tenant_id, asked.caused_by) == (owed.tenant_id, owed.id)
    assert asked.flow_run_id == UUID(str(owed.event["flow_run_id"]))
    assert asked.message == "Cancelled by the automation Tell the data team"


async def test_message_is_rendered_and_recorded() -> None:
    orchestration, owed = PlayedOrchestration(), delivery()
    used = tools(http, orchestration=orchestration)
    await outcome(CancelFlowRun(message="{flow_run_name} is {state}"), owed, used)
    assert orchestration.asked[0].message == "amber-otter is Failed"
    assert used.request == {"flow_run_id": owed.event["flow_run_id"], "message": "amber-otter is Failed"}


async def test_test_cancels_nothing() -> None:
    orchestration = PlayedOrchestration()
    result = await outcome(CancelFlowRun(), delivery(is_test=True), tools(http, orchestration=orchestration))
    assert isinstance(result, Sent)
    assert "nothing" in (result.note or "")
    assert orchestration.asked == []


async def test_run_that_is_gone_is_not_asked_for_again() -> None:
    result = await outcome(CancelFlowRun(), delivery(), tools(http, orchestration=PlayedOrchestration(is_gone=True)))
    assert isinstance(result, Rejected)
    assert "no flow run" in result.reason


async def test_hostile_names_reach_the_run_as_they_are(server: Automations, local: LocalOrchestration) -> None:
    flow = await server.flow()
    for text in HOSTILE.values():
        run = await server.run(flow)
        stored = await server.execute(f'{{ flow_run_by_pk(id: "{run}") {{ tenant_id }} }}')
        owed = replace(delivery(flow_run_id=run, flow_name=text), tenant_id=UUID(stored["flow_run_by_pk"]["tenant_id"]))
        asked = CancelFlowRun(message="{flow_name}")
        assert isinstance(await outcome(asked, owed, tools(http, orchestration=local)), Sent)
        stored = await server.execute(f'{{ flow_run_by_pk(id: "{run}") {{ state state_message }} }}')
        assert stored["flow_run_by_pk"] == {"state": "Cancelled", "state_message": text.replace("\0", "")}


async def test_run_of_another_tenant_is_not_touched(server: Automations, local: LocalOrchestration) -> None:
    run = await server.run(await server.flow())
    result = await outcome(CancelFlowRun(), delivery(flow_run_id=run), tools(http, orchestration=local))
    assert isinstance(result, Rejected)
    stored = await server.execute(f'{{ flow_run_by_pk(id: "{run}") {{ state }} }}')
    assert stored["flow_run_by_pk"] == {"state": "Scheduled"}
