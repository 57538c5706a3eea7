"""State changes become firings and deliveries: once, all of them, and soon."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from automations.database import Database, DedicatedConnection
from automations.engine.evaluator import CHANNEL, Evaluator
from automations.orchestration.states import STATE_GROUPS
from automations.orchestration.tenants import create_tenant
from tests.engine.watched import Watched, enter
from tests.harness import eventually

PATIENT_SECONDS = 60.0
"""A poll so rare that only a wake-up explains what comes sooner."""


@pytest.fixture
async def other_connection(database_url: str) -> AsyncIterator[DedicatedConnection]:
    connection = await Database(database_url).dedicated()
    yield connection
    await connection.close()


@asynccontextmanager
async def evaluating(database_url: str, rung: list[float] | None = None) -> AsyncIterator[Evaluator]:
    """An evaluator at work. `rung` gets the time of each call for deliveries."""
    evaluator = Evaluator(
        Database(database_url),
        max_depth=8,
        poll_seconds=PATIENT_SECONDS,
        on_deliveries=lambda: None if rung is None else rung.append(time.monotonic()),
        on_timer=lambda _: None,
    )
    running = asyncio.create_task(evaluator.run())
    try:
        yield evaluator
    finally:
        evaluator.stop()
        async with asyncio.timeout(5):
            await running


async def is_resting(connection: DedicatedConnection) -> bool:
    """Whether an evaluator sleeps with the idle lock."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
        )
    )


async def evaluated(watched: Watched, count: int, seconds: float = 5) -> None:
    """Return once there are so many firings."""

    async def reached() -> bool:
        return len(await watched.firings()) >= count

    await eventually(reached, seconds)


# One batch


async def test_ids_of_deliveries_follow_the_queue(watched: Watched) -> None:
    """Deliveries that keep an order go by their ids."""
    await watched.automation(actions=2, states=["Failed"])
    runs = [await watched.run(flow) for flow in [await watched.flow() for _ in range(5)] for _ in range(5)]
    entered = [await watched.enter(run, "Failed") for _ in range(4) for run in runs]
    assert await watched.evaluate() == (100, 100, 200)
    rows = await watched.connection.fetch(
        """
        SELECT firing.event_id, step.position
        FROM automations.delivery
        JOIN automations.firing ON firing.id = delivery.firing_id
        JOIN automations.automation_action AS step ON step.action_id = delivery.action_id
        ORDER BY delivery.id
        """
    )
    assert [tuple(row) for row in rows] == [(state, position) for state in entered for position in range(2)]


async def test_match_becomes_a_firing_and_a_delivery_as_it_leaves_the_queue(watched: Watched) -> None:
    automation = await watched.automation()
    run = await watched.run(await watched.flow())
    state = await watched.enter(run, "Failed", "disk full")
    assert await watched.waiting() == 1
    assert await watched.evaluate() == (1, 1, 1)
    assert await watched.waiting() == 0
    [firing], [delivery] = await watched.firings(), await watched.deliveries()
    assert (firing["automation_id"], firing["event_id"], firing["flow_run_id"]) == (automation, state, run)
    assert (firing["event_type"], firing["depth"], firing["is_test"]) == ("FlowRunStateChangedEvent", 0, False)
    assert (delivery["firing_id"], delivery["automation_id"]) == (firing["id"], automation)
    assert (delivery["status"], delivery["attempt_count"], delivery["action_type"]) == ("PENDING", 0, "WebhookAction")
    assert delivery["destination"] == "webhook:https://hooks.example.com:https"


async def test_event_tells_of_the_run_as_it_was(watched: Watched) -> None:
    await watched.automation()
    flow = await watched.flow("etl")
    run = await watched.run(flow, "nightly")
    state = await watched.enter(run, "TimedOut", "took too long")
    await watched.evaluate()
    event = await watched.event()
    assert event.pop("timestamp")
    assert event == {
        "id": str(state),
        "event_name": "FlowRunStateChangedEvent",
        "tenant_id": str(watched.tenant_id),
        "tenant_slug": "default",
        "flow_id": str(flow.id),
        "flow_name": "etl",
        "flow_group_id": str(flow.flow_group_id),
        "flow_run_id": str(run),
        "flow_run_name": "nightly",
        "state": "TimedOut",
        "state_message": "took too long",
    }


async def test_long_texts_are_cut(watched: Watched) -> None:
    await watched.automation()
    run = await watched.run(await watched.flow("é" * 5000), "n" * 5000)
    await watched.enter(run, "Failed", "m" * 100_000)
    await watched.evaluate()
    event = await watched.event()
    assert event["flow_name"] == "é" * 1000
    assert event["flow_run_name"] == "n" * 1000
    assert event["state_message"] == "m" * 8000


@pytest.mark.parametrize("table", ["firing", "delivery"])
async def test_error_in_between_loses_nothing(watched: Watched, table: str) -> None:
    await watched.automation()
    await watched.enter(await watched.run(await watched.flow()))
    await watched.connection.execute(f"ALTER TABLE automations.{table} ADD CONSTRAINT broken CHECK (false)")
    with pytest.raises(asyncpg.CheckViolationError):
        await watched.evaluate()
    assert (await watched.waiting(), await watched.firings(), await watched.deliveries()) == (1, [], [])
    await watched.connection.execute(f"ALTER TABLE automations.{table} DROP CONSTRAINT broken")
    assert await watched.evaluate() == (1, 1, 1)


async def test_two_evaluators_take_each_change_once(watched: Watched, other_connection: DedicatedConnection) -> None:
    await watched.automation()
    run = await watched.run(await watched.flow())
    for _ in range(3):
        await watched.enter(run)
    other = Watched(other_connection, watched.tenant_id)
    async with watched.connection.transaction():
        assert await watched.evaluate(batch=2) == (2, 2, 2)
        assert await other.evaluate() == (1, 1, 1), "what the first has taken is passed over, not waited for"
        assert await other.evaluate() == (0, 0, 0)
    assert await other.evaluate() == (0, 0, 0)
    assert len({firing["event_id"] for firing in await watched.firings()}) == 3


async def test_what_an_evaluator_took_and_lost_is_taken_by_the_next(
    watched: Watched, other_connection: DedicatedConnection
) -> None:
    await watched.automation()
    await watched.enter(await watched.run(await watched.flow()))
    transaction = watched.connection.transaction()
    await transaction.start()
    assert await watched.evaluate() == (1, 1, 1)
    await transaction.rollback()
    assert await Watched(other_connection, watched.tenant_id).evaluate() == (1, 1, 1)
    assert len(await watched.firings()) == 1


# What matches


@pytest.mark.parametrize("column", ["none of them", "flow_run_state", "flow_run_state and flow_run"])
async def test_tenant_left_out_by_an_existing_backend_is_that_of_the_run_or_flow(watched: Watched, column: str) -> None:
    await watched.automation()
    run = await watched.run(await watched.flow())
    if "flow_run" in column.split():
        await watched.connection.execute("UPDATE flow_run SET tenant_id = NULL")
    await enter(watched.connection, None if "flow_run_state" in column else watched.tenant_id, run, "Failed")
    assert await watched.evaluate() == (1, 1, 1)
    assert (await watched.event())["tenant_id"] == str(watched.tenant_id)


@pytest.mark.parametrize("gone", ["flow_run", "flow", "flow_run_state"])
async def test_run_that_was_deleted_meanwhile_goes_quietly(watched: Watched, gone: str) -> None:
    await watched.automation()
    await watched.enter(await watched.run(await watched.flow()))
    await watched.connection.execute(f"DELETE FROM {gone}")
    assert await watched.evaluate() == (1, 0, 0)
    assert await watched.waiting() == 0


@pytest.mark.parametrize("how", ["made disabled", "disabled", "deleted"])
async def test_automation_that_is_off_does_not_fire(watched: Watched, how: str) -> None:
    automation = await watched.automation(enabled=how != "made disabled")
    await watched.enter(await watched.run(await watched.flow()))
    if how == "disabled":
        await watched.disable(automation)
    elif how == "deleted":
        await watched.delete(automation)
    assert await watched.evaluate() == (1, 0, 0)


@pytest.mark.parametrize("group", STATE_GROUPS)
async def test_state_group_fires_for_its_states_and_no_others(watched: Watched, group: str) -> None:
    await watched.automation(state_group=group)
    run = await watched.run(await watched.flow())
    for state in STATE_GROUPS["ALL"]:
        await watched.enter(run, state)
    await watched.evaluate()
    fired = [await watched.connection.fetchval("SELECT state FROM flow_run_state WHERE id = $1", firing["event_id"])
             for firing in await watched.firings()]  # fmt: skip
    assert sorted(fired) == sorted(STATE_GROUPS[group])


@pytest.mark.parametrize("written", ["Failed", "FAILED", "failed"])
@pytest.mark.parametrize("wanted", ["Failed", "fAiLeD"])
async def test_states_are_compared_without_case_and_told_as_written(
    watched: Watched, written: str, wanted: str
) -> None:
    await watched.automation(states=[wanted])
    await watched.enter(await watched.run(await watched.flow()), written)
    assert await watched.evaluate() == (1, 1, 1)
    assert (await watched.event())["state"] == written


async def test_every_automation_fires_and_every_action_is_owed(watched: Watched) -> None:
    await watched.automation(actions=3)
    await watched.automation(actions=2, states=["Failed", "Success"])
    await watched.automation(states=["Success"])
    await watched.enter(await watched.run(await watched.flow()))
    assert await watched.evaluate() == (1, 2, 5)
    assert len({delivery["action_id"] for delivery in await watched.deliveries()}) == 5


async def test_automation_keeps_to_its_flow_groups_and_projects(watched: Watched) -> None:
    mine, other = await watched.flow("mine"), await watched.flow("other")
    of_flow = await watched.automation(states=["Failed"], flow_group_ids=[mine.flow_group_id])
    of_project = await watched.automation(states=["Failed"], project_ids=[mine.project_id])
    await watched.automation(states=["Failed"], flow_group_ids=[mine.flow_group_id], project_ids=[other.project_id])
    for flow in (mine, other):
        await watched.enter(await watched.run(flow))
    assert await watched.evaluate() == (2, 2, 2)
    assert {firing["automation_id"] for firing in await watched.firings()} == {of_flow, of_project}


async def test_automation_of_another_tenant_does_not_fire(watched: Watched) -> None:
    other = Watched(watched.connection, await create_tenant(watched.connection, name="other", slug=None))
    await other.automation(state_group="ALL")
    await watched.enter(await watched.run(await watched.flow()))
    assert await watched.evaluate() == (1, 0, 0)


# Chains


async def test_chain_is_stopped_at_its_depth_with_the_reason(watched: Watched) -> None:
    await watched.automation()
    run = await watched.run(await watched.flow())
    caused_by = ""
    for _ in range(4):
        async with watched.connection.transaction():
            await watched.connection.execute("SELECT set_config('automations.caused_by', $1, true)", caused_by)
            await watched.enter(run)
        await watched.evaluate(max_depth=2)
        caused_by = str((await watched.deliveries())[-1]["id"])
    assert [firing["depth"] for firing in await watched.firings()] == [0, 1, 2, 3]
    deliveries = await watched.deliveries()
    assert [delivery["status"] for delivery in deliveries] == ["PENDING", "PENDING", "PENDING", "SUPPRESSED"]
    assert "3 times in a row" in deliveries[3]["reason"]
    assert deliveries[3]["finished_at"] is not None


async def test_cause_ends_with_its_transaction(watched: Watched) -> None:
    await watched.automation()
    run = await watched.run(await watched.flow())
    async with watched.connection.transaction():
        await watched.connection.execute("SELECT set_config('automations.caused_by', $1, true)", str(uuid4()))
        await watched.enter(run)
    await watched.enter(run)
    await watched.evaluate()
    assert [firing["depth"] for firing in await watched.firings()] == [1, 0]


# What is captured


async def test_states_written_by_plain_sql_are_captured_one_by_one(watched: Watched) -> None:
    await watched.automation()
    flow = await watched.flow()
    runs = [await watched.run(flow) for _ in range(3)]
    await watched.connection.execute(
        "INSERT INTO flow_run_state (tenant_id, flow_run_id, state) SELECT $1, unnest($2::uuid[]), 'Failed'",
        watched.tenant_id,
        runs,
    )
    await watched.connection.copy_records_to_table(
        "flow_run_state",
        columns=["tenant_id", "flow_run_id", "state"],
        records=[(watched.tenant_id, runs[0], "Failed")],
    )
    assert await watched.evaluate() == (4, 4, 4)
    assert {firing["flow_run_id"] for firing in await watched.firings()} == set(runs)


async def test_state_that_was_rolled_back_is_not_captured(watched: Watched) -> None:
    await watched.automation()
    run = await watched.run(await watched.flow())
    transaction = watched.connection.transaction()
    await transaction.start()
    await watched.enter(run)
    await transaction.rollback()
    assert await watched.waiting() == 0


async def test_writer_of_states_needs_no_rights_in_our_schema(watched: Watched) -> None:
    await watched.automation()
    run = await watched.run(await watched.flow())
    role = f"backend_{uuid4().hex}"
    await watched.connection.execute(f'CREATE ROLE "{role}"; GRANT ALL ON ALL TABLES IN SCHEMA public TO "{role}"')
    try:
        await watched.connection.execute(f'SET ROLE "{role}"')
        await watched.enter(run)
        await watched.connection.execute("RESET ROLE")
        assert await watched.evaluate() == (1, 1, 1)
    finally:
        await watched.connection.execute(f'RESET ROLE; DROP OWNED BY "{role}"; DROP ROLE "{role}"')


# Waking up


async def test_idle_evaluator_is_woken_by_a_change(watched: Watched, database_url: str) -> None:
    await watched.automation()
    run = await watched.run(await watched.flow())
    rung: list[float] = []
    async with evaluating(database_url, rung):
        for count in range(1, 21):
            await eventually(lambda: is_resting(watched.connection))
            await watched.enter(run)
            await eventually(partial(has_rung, rung, count), 5)


async def has_rung(rung: list[float], count: int) -> bool:
    return len(rung) >= count


async def test_no_change_is_missed_at_the_moment_the_evaluator_falls_asleep(
    watched: Watched, database_url: str
) -> None:
    await watched.automation()
    run = await watched.run(await watched.flow())
    async with evaluating(database_url):
        for number in range(200):
            await watched.enter(run)
            await asyncio.sleep(number % 10 / 1000)
        await evaluated(watched, 200)


async def test_writer_notifies_only_an_idle_evaluator(
    watched: Watched, database_url: str, other_connection: DedicatedConnection
) -> None:
    run = await watched.run(await watched.flow())
    heard: list[Any] = []
    await other_connection.add_listener(CHANNEL, lambda *_: heard.append(1))
    for _ in range(20):
        await watched.enter(run)
    await other_connection.execute("SELECT 1")
    assert heard == [], "nobody sleeps"

    async with evaluating(database_url):
        await eventually(lambda: is_resting(watched.connection))
        await watched.enter(run)
        async with asyncio.timeout(10):
            while not heard:
                await other_connection.execute("SELECT 1")
        assert len(heard) == 1
    heard.clear()
    async with watched.connection.transaction():
        for _ in range(20):
            await watched.enter(run)
    await other_connection.execute("SELECT 1")
    assert heard == []


async def test_writer_that_commits_late_does_not_hold_up_the_others(
    watched: Watched, database_url: str, other_connection: DedicatedConnection
) -> None:
    await watched.automation()
    run = await watched.run(await watched.flow())
    other_run = await watched.run(await watched.flow())
    async with evaluating(database_url):
        transaction = other_connection.transaction()
        await transaction.start()
        await enter(other_connection, watched.tenant_id, other_run, "Failed")
        for count in range(1, 8):
            await asyncio.sleep(0.1)  # long enough that the evaluator looks as rarely as it ever does
            await watched.enter(run)
            await evaluated(watched, count)
        await transaction.commit()
        await evaluated(watched, 8)


async def test_two_idle_evaluators_are_woken_and_share(watched: Watched, database_url: str) -> None:
    await watched.automation()
    run = await watched.run(await watched.flow())
    async with evaluating(database_url):
        async with evaluating(database_url):
            for count in range(1, 11):
                await eventually(lambda: is_resting(watched.connection))
                await watched.enter(run)
                await evaluated(watched, count, 2)
        await eventually(lambda: is_resting(watched.connection))
        await watched.enter(run)
        await evaluated(watched, 11, 2)
    assert len(await watched.firings()) == 11


async def test_evaluator_goes_on_after_a_lost_connection(watched: Watched, database_url: str) -> None:
    await watched.automation()
    run = await watched.run(await watched.flow())
    async with evaluating(database_url):
        for count in range(1, 4):
            await eventually(lambda: is_resting(watched.connection))
            await watched.connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await watched.enter(run)
            await evaluated(watched, count)


async def test_dispatcher_is_told_of_deliveries_only(watched: Watched, database_url: str) -> None:
    await watched.automation()
    run = await watched.run(await watched.flow())
    rung: list[float] = []
    async with evaluating(database_url, rung):
        await watched.enter(run, "Running")
        await eventually(lambda: is_empty(watched))
        assert rung == []
        await watched.enter(run, "Failed")
        await eventually(lambda: has_rung(rung, 1))


async def is_empty(watched: Watched) -> bool:
    return await watched.waiting() == 0


async def test_change_of_many_runs_is_evaluated_in_several_batches(watched: Watched, database_url: str) -> None:
    await watched.automation()
    flow = await watched.flow()
    runs: list[UUID] = [await watched.run(flow) for _ in range(3)]
    await watched.connection.execute(
        """
        INSERT INTO flow_run_state (tenant_id, flow_run_id, state)
        SELECT $1, run, 'Failed' FROM unnest($2::uuid[]) AS run, generate_series(1, 1500)
        """,
        watched.tenant_id,
        runs,
    )
    async with evaluating(database_url):
        await evaluated(watched, 4500, 15)
    assert len(await watched.deliveries()) == 4500
