"""Runs that others touch as well: late writers, batches that overlap, other tenants, and every state there is."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from automations.database import DedicatedConnection
from automations.orchestration.states import FINISHED, STATES
from tests.harness import Automations, eventually
from tests.orchestration.asking import agent, agent_id, by_pk, history, other_tenant, refused

ALREADY = "State update failed: this run has already been submitted."


def new(flow_run_id: str, state: str, version: int | None = None) -> dict[str, Any]:
    """One item of `set_flow_run_states`."""
    return {"flow_run_id": flow_run_id, "version": version, "state": {"type": state}}


async def set_states(api: Automations, *states: dict[str, Any]) -> None:
    """Set them in one batch."""
    await api.write("set_flow_run_states", "states { id }", states=states)


async def runs(api: Automations, count: int) -> list[str]:
    """Ids of new runs of one flow."""
    flow = await api.flow()
    return [await api.run(flow) for _ in range(count)]


async def test_older_version_is_history_and_does_not_overwrite(api: Automations, sql: DedicatedConnection) -> None:
    """Who else writes to these tables may be late."""
    [run] = await runs(api, 1)
    await set_states(api, new(run, "Running"), new(run, "Success"))
    statement = """
        INSERT INTO public.flow_run_state (flow_run_id, tenant_id, version, state, serialized_state)
        SELECT id, tenant_id, $2, $3, '{}' FROM public.flow_run WHERE id = $1"""
    fields = "state version serialized_state end_time"
    before = await by_pk(api, "flow_run", run, fields)
    assert (before["state"], before["version"]) == ("Success", 3)
    await sql.execute(statement, UUID(run), 2, "Failed")
    assert await by_pk(api, "flow_run", run, fields) == before
    assert (2, "Failed") in await history(api, run)
    await sql.execute(statement, UUID(run), 3, "Failed")
    assert (await by_pk(api, "flow_run", run, "state"))["state"] == "Failed"


@pytest.mark.parametrize("state", ["Success", "Failed", "Cached", "TimedOut", "Looped", "Cancelled"])
async def test_end_time_is_set_when_the_run_ends_and_its_start_stays(api: Automations, state: str) -> None:
    [run] = await runs(api, 1)
    await set_states(api, new(run, "Running"))
    started = await by_pk(api, "flow_run", run, "start_time state_timestamp")
    assert started["start_time"] == started["state_timestamp"]
    await set_states(api, new(run, state))
    row = await by_pk(api, "flow_run", run, "start_time end_time state_timestamp")
    assert row["start_time"] == started["start_time"]
    assert row["end_time"] == row["state_timestamp"]


async def test_run_has_the_labels_of_its_flow_group_by_default(api: Automations, sql: DedicatedConnection) -> None:
    flow = await api.flow()
    group = (await by_pk(api, "flow", flow, "flow_group_id"))["flow_group_id"]
    await sql.execute("""UPDATE public.flow_group SET labels = '["gpu"]' WHERE id = $1""", UUID(group))
    assert await by_pk(api, "flow_run", await api.run(flow), "labels") == {"labels": ["gpu"]}
    assert await by_pk(api, "flow_run", await api.run(flow, labels=[]), "labels") == {"labels": []}


async def test_run_that_was_scheduled_again_can_be_submitted_again(api: Automations) -> None:
    [run] = await runs(api, 1)
    await set_states(api, new(run, "Submitted"), new(run, "Scheduled"), new(run, "Submitted", 3))
    assert (await history(api, run))[-1] == (4, "Submitted")


async def test_of_overlapping_batches_of_two_agents_one_is_written_whole(api: Automations) -> None:
    ids = await runs(api, 8)
    workers = [await agent(api, name) for name in ("one", "two")]
    results = await asyncio.gather(
        set_states(workers[0], *(new(run, "Submitted", 1) for run in ids)),
        set_states(workers[1], *(new(run, "Submitted", 1) for run in reversed(ids))),
        return_exceptions=True,
    )
    [winner] = [worker for worker, result in zip(workers, results, strict=True) if result is None]
    assert [str(result) for result in results if result is not None] == [ALREADY]
    owners = [(await by_pk(api, "flow_run", run, "agent_id"))["agent_id"] for run in ids]
    assert owners == [agent_id(winner)] * 8


async def test_cancelling_depends_on_the_state_the_run_is_in(api: Automations) -> None:
    flow = await api.flow()
    stays = {*FINISHED, "Cancelling"}

    async def cancelled(state: str) -> tuple[str, str, int]:
        run = await api.run(flow)
        await set_states(api, new(run, state))
        answer = (await api.write("cancel_flow_run", "state", flow_run_id=run))["state"]
        row = await by_pk(api, "flow_run", run, "state version")
        return answer, row["state"], row["version"]

    results = dict(zip(STATES, await asyncio.gather(*map(cancelled, STATES)), strict=True))
    expected = {
        state: state if state in stays else "Cancelling" if state == "Running" else "Cancelled" for state in STATES
    }
    assert results == {state: (end, end, 2 if state in stays else 3) for state, end in expected.items()}


async def test_run_cancelled_by_two_at_once_is_cancelled_once(api: Automations, sql: DedicatedConnection) -> None:
    [run] = await runs(api, 1)

    async def both_wait() -> bool:
        statement = """
            SELECT count(*) = 2 FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'"""
        await sql.execute("SELECT pg_stat_clear_snapshot()")  # in a transaction the view is read once only
        return bool(await sql.fetchval(statement))

    async with asyncio.TaskGroup() as group, sql.transaction():
        await sql.execute("SELECT FROM public.flow_run WHERE id = $1 FOR NO KEY UPDATE", UUID(run))
        for _ in range(2):
            group.create_task(api.write("cancel_flow_run", "state", flow_run_id=run))
        await eventually(both_wait)
    assert await history(api, run) == [(1, "Scheduled"), (2, "Cancelled")]


async def test_run_of_another_tenant_is_out_of_reach(api: Automations) -> None:
    [run] = await runs(api, 1)
    other = await other_tenant(api)
    [theirs] = await runs(other, 1)
    for mutation in ("cancel_flow_run", "delete_flow_run"):
        assert run in await refused(other, "NOT_FOUND", mutation, flow_run_id=run)
    await refused(other, "NOT_FOUND", "set_flow_run_states", states=[new(theirs, "Running"), new(run, "Running")])
    flow = (await by_pk(api, "flow_run", run, "flow_id"))["flow_id"]
    await refused(other, "NOT_FOUND", "create_flow_run", flow_id=flow)
    assert await history(api, run) == [(1, "Scheduled")]
    assert await history(other, theirs) == [(1, "Scheduled")]


async def test_other_work_of_an_agent_is_no_sign_of_life(api: Automations) -> None:
    worker = await agent(api)
    run = await worker.run(await worker.flow())
    await worker.set_state(run, "Submitted", version=1)
    await api.write("get_runs_in_queue", "flow_run_ids")
    await agent(api)  # registers once more
    assert await by_pk(api, "agent", agent_id(worker), "last_queried") == {"last_queried": None}
