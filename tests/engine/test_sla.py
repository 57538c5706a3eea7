"""Late runs fire, once for each SLA and anchor, and no others do."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from automations.actions.webhook import Webhook
from automations.database import Database, DedicatedConnection
from automations.definitions import slas
from automations.definitions.automations import create_automation, delete_automation
from automations.definitions.triggers import Trigger, parse_trigger
from automations.engine.evaluator import Evaluator
from automations.engine.sla import SlaTimers
from tests.engine.late import NOON, TO_FINISH, TO_START, Late, ModelRun, Sla, at, pairs, random_state
from tests.engine.test_evaluator import PATIENT_SECONDS, evaluated
from tests.engine.watched import Watched


@pytest.fixture
def late(watched: Watched) -> Late:
    return Late(watched)


async def test_run_that_does_not_finish_in_time_fires_once(late: Late) -> None:
    flow = await late.watched.flow("etl")
    automation = await late.sla(TO_FINISH, 60, flow)
    run = await late.run(flow)
    await late.enter(run, "Running", NOON)
    await late.evaluate()
    assert (await late.tick(at(59.9))).due == 0
    taken = await late.tick(at(60))
    assert (taken.due, taken.firings, taken.deliveries) == (1, 1, 1)
    assert (await late.tick(at(9999))).due == 0
    [firing] = await late.watched.firings()
    assert (firing["automation_id"], firing["event_type"], firing["flow_run_id"]) == (
        automation,
        "FlowSLAFailedEvent",
        run,
    )
    [event] = await late.fired()
    assert event["id"] == str(firing["event_id"])
    assert {name: event[name] for name in ("kind", "duration_seconds", "flow_name", "state", "timestamp")} == {
        "kind": TO_FINISH,
        "duration_seconds": 60,
        "flow_name": "etl",
        "state": "Running",
        "timestamp": at(60).isoformat(),
    }
    assert event["noticed_after_seconds"] == 0


async def test_run_that_does_not_start_in_time_fires(late: Late) -> None:
    flow = await late.watched.flow()
    await late.sla(TO_START, 30)
    run = await late.run(flow, scheduled=at(100))
    await late.enter(run, "Scheduled", NOON)
    await late.evaluate()
    assert (await late.tick(at(129))).due == 0
    assert (await late.tick(at(130))).firings == 1


@pytest.mark.parametrize("state", ["Submitted", "Running", "Cancelled", "Failed", "Cancelling"])
async def test_run_that_starts_or_ends_in_time_is_not_late_to_start(late: Late, state: str) -> None:
    await late.sla(TO_START, 30)
    run = await late.run(await late.watched.flow())
    await late.enter(run, "Scheduled", NOON)
    await late.evaluate()
    await late.enter(run, state, at(29))
    taken = await late.tick(at(31))
    assert (taken.due, taken.firings) == (1, 0)
    assert await late.timers() == 0


@pytest.mark.parametrize("state", ["Queued", "ClientFailed", "Pending"])
async def test_run_that_is_held_back_is_still_late_to_start(late: Late, state: str) -> None:
    await late.sla(TO_START, 30)
    run = await late.run(await late.watched.flow())
    await late.enter(run, "Scheduled", NOON)
    await late.enter(run, state, at(1))
    await late.evaluate()
    assert (await late.tick(at(31))).firings == 1


async def test_cancelling_run_is_still_late_to_finish(late: Late) -> None:
    await late.sla(TO_FINISH, 30)
    run = await late.run(await late.watched.flow())
    await late.enter(run, "Running", NOON)
    await late.enter(run, "Cancelling", at(1))
    await late.evaluate()
    assert (await late.tick(at(31))).firings == 1


async def test_rescheduled_run_counts_from_its_new_start(late: Late) -> None:
    await late.sla(TO_START, 30)
    run = await late.run(await late.watched.flow())
    await late.enter(run, "Scheduled", NOON, start=at(10))
    await late.evaluate()
    await late.enter(run, "Scheduled", at(5), start=at(100))
    assert (await late.tick(at(50))).firings == 0, "also while the new state waits for evaluation"
    await late.evaluate()
    assert (await late.tick(at(129))).due == 0
    assert (await late.tick(at(130))).firings == 1


async def test_retried_run_counts_anew_and_may_fire_again(late: Late) -> None:
    await late.sla(TO_FINISH, 30)
    run = await late.run(await late.watched.flow())
    await late.enter(run, "Running", NOON)
    await late.evaluate()
    assert (await late.tick(at(40))).firings == 1
    await late.enter(run, "Retrying", at(45), start=at(50))
    await late.enter(run, "Running", at(50))
    await late.evaluate()
    assert (await late.tick(at(79))).due == 0
    assert (await late.tick(at(80))).firings == 1


async def test_timer_that_is_due_after_an_outage_says_how_late_it_was_noticed(late: Late) -> None:
    await late.sla(TO_FINISH, 30)
    run = await late.run(await late.watched.flow())
    await late.enter(run, "Running", NOON)
    await late.evaluate()
    await late.tick(at(30 + 3600))
    [event] = await late.fired()
    assert (event["timestamp"], event["noticed_after_seconds"]) == (at(30).isoformat(), 3600)


async def test_new_sla_holds_open_runs_to_it(late: Late) -> None:
    flow, other = await late.watched.flow(), await late.watched.flow()
    running, finished, scheduled, elsewhere = [await late.run(place) for place in (flow, flow, flow, other)]
    for run in (running, finished, elsewhere):
        await late.enter(run, "Running", NOON)
    await late.enter(finished, "Success", at(5))
    await late.enter(scheduled, "Scheduled", NOON)
    await late.evaluate()
    await late.sla(TO_FINISH, 30, flow)
    await late.sla(TO_START, 40, flow)
    assert await late.timers() == 2
    await late.tick(at(100))
    assert [event["flow_run_id"] for event in await late.fired()] == [str(running), str(scheduled)]


async def test_changed_sla_is_the_one_that_counts_and_fires_nothing_twice(late: Late) -> None:
    flow = await late.watched.flow()
    automation = await late.sla(TO_FINISH, 30, flow)
    first, second = [await late.run(flow) for _ in range(2)]
    await late.enter(first, "Running", NOON)
    await late.enter(second, "Running", at(20))
    await late.evaluate()
    assert (await late.tick(at(31))).firings == 1
    await late.change(automation, {"kind": TO_FINISH, "duration_seconds": 60})
    assert (await late.tick(at(60))).firings == 0, "the first one fired already"
    assert (await late.tick(at(79))).firings == 0, "the second one has longer now"
    assert (await late.tick(at(80))).firings == 1
    assert len({event["flow_sla_config_id"] for event in await late.fired()}) == 1


async def test_renaming_leaves_timers_alone(late: Late) -> None:
    automation = await late.sla(TO_FINISH, 30)
    await late.enter(await late.run(await late.watched.flow()), "Running", NOON)
    await late.evaluate()
    before = await late.connection.fetch("SELECT xmin, * FROM automations.sla_timer")
    await late.change(automation, name="another")
    assert await late.connection.fetch("SELECT xmin, * FROM automations.sla_timer") == before


async def test_disabled_automation_does_not_fire_and_an_enabled_one_catches_up(late: Late) -> None:
    automation = await late.sla(TO_FINISH, 30)
    run = await late.run(await late.watched.flow())
    await late.enter(run, "Running", NOON)
    await late.evaluate()
    await late.change(automation, enabled=False)
    assert (await late.tick(at(31))).firings == 0
    await late.change(automation, enabled=True)
    assert (await late.tick(at(50))).firings == 1


async def test_deleted_automation_leaves_no_timer_and_no_sla(late: Late) -> None:
    automation = await late.sla(TO_FINISH, 30)
    await late.enter(await late.run(await late.watched.flow()), "Running", NOON)
    await late.evaluate()
    async with late.connection.transaction():
        await delete_automation(late.connection, late.watched.tenant_id, automation)
    assert await late.timers() == 0
    assert (
        await late.connection.fetchval("SELECT count(*) FROM automations.flow_sla_config WHERE deleted_at IS NULL") == 0
    )
    await late.enter(await late.run(await late.watched.flow()), "Running", NOON)
    await late.evaluate()
    assert await late.timers() == 0


@pytest.mark.parametrize("table", ["flow_run", "flow"])
async def test_timers_of_deleted_runs_and_flows_go_quietly(late: Late, table: str) -> None:
    await late.sla(TO_FINISH, 30)
    await late.enter(await late.run(await late.watched.flow()), "Running", NOON)
    await late.evaluate()
    await late.connection.execute(f"DELETE FROM {table}")
    taken = await late.tick(at(31))
    assert (taken.due, taken.busy, taken.firings, await late.timers()) == (1, 0, 0, 0)


async def test_saved_sla_serves_several_automations_and_flows_linked_later(late: Late) -> None:
    connection, tenant_id = late.connection, late.watched.tenant_id
    flow = await late.watched.flow()
    run = await late.run(flow)
    await late.enter(run, "Running", NOON)
    await late.evaluate()
    async with connection.transaction():
        config = await slas.create_config(connection, tenant_id, kind=TO_FINISH, duration_seconds=30, name="slow")
        trigger = parse_trigger({"flow_sla_failed": {"flow_sla_config_ids": [config]}})
        automations = [await _automation(late, trigger) for _ in range(2)]
        link = await slas.link_flow_group(connection, tenant_id, config, flow.flow_group_id)
        assert await slas.link_flow_group(connection, tenant_id, config, flow.flow_group_id) == link
    assert await late.timers() == 1
    taken = await late.tick(at(31))
    assert (taken.due, taken.firings) == (1, 2)
    firings = await late.watched.firings()
    assert {firing["automation_id"] for firing in firings} == set(automations)
    assert len({firing["event_id"] for firing in firings}) == 1


async def _automation(late: Late, trigger: Trigger) -> UUID:
    saved = await create_automation(
        late.connection,
        late.watched.tenant_id,
        name=None,
        description=None,
        enabled=True,
        trigger=trigger,
        actions=[Webhook(url="https://hooks.example.com/")],
    )
    return saved.id


async def test_run_that_is_being_finished_has_the_word_first(late: Late, database_url: str) -> None:
    await late.sla(TO_FINISH, 30)
    run = await late.run(await late.watched.flow())
    await late.enter(run, "Running", NOON)
    await late.evaluate()
    other = Late(Watched(await Database(database_url).dedicated(), late.watched.tenant_id))
    async with other.connection.transaction():
        await other.connection.execute("SELECT FROM flow_run WHERE id = $1 FOR NO KEY UPDATE", run)
        taken = await late.tick(at(31))
        assert (taken.due, taken.busy, taken.firings) == (1, 1, 0)
        await other.enter(run, "Success", at(29))
    taken = await late.tick(at(32))
    assert (taken.due, taken.busy, taken.firings) == (1, 0, 0)
    await other.connection.close()


@pytest.mark.parametrize("seed", range(25))
async def test_exactly_the_late_runs_fire_whatever_happens(late: Late, seed: int) -> None:
    """Random histories, with evaluations, looks at the clock and changes of SLAs at any time, against a model."""
    chance = random.Random(seed)
    flow = await late.watched.flow()
    models: list[Sla] = []
    runs: dict[UUID, ModelRun] = {}
    expected: set[tuple[str, str, str]] = set()
    now = NOON
    for _ in range(80):
        now += timedelta(seconds=chance.choice((0, 1, 5, 20)))
        match chance.choices(("run", "state", "evaluate", "tick", "sla"), (2, 8, 4, 6, 1))[0]:
            case "run":
                scheduled = now + timedelta(seconds=chance.randint(-10, 30))
                runs[await late.run(flow, scheduled=scheduled)] = ModelRun(scheduled)
            case "state" if runs:
                run = chance.choice(list(runs))
                state, start = random_state(chance, now)
                runs[run].states.append((state, now, start))
                await late.enter(run, state, now, start=start)
            case "evaluate":
                await late.evaluate()
                for model in runs.values():
                    model.evaluated = len(model.states)
            case "tick":
                while (await late.tick(now)).due:
                    pass
                for run, model in runs.items():
                    for sla in models:
                        if anchor := model.is_late(sla, now):
                            missed = anchor + timedelta(seconds=sla.seconds)
                            expected.add((str(run), str(sla.id), missed.isoformat()))
                assert pairs(await late.fired()) == sorted(expected), seed
            case "sla" if len(models) < 4:
                kind, seconds = chance.choice((TO_START, TO_FINISH)), chance.choice((5, 15, 40))
                automation = await late.sla(kind, seconds, *chance.choice(((), (flow,))))
                config = await late.connection.fetchval(
                    "SELECT flow_sla_config_id FROM automations.automation_sla WHERE automation_id = $1", automation
                )
                models.append(Sla(config, kind, seconds))
                # A new SLA looks at the runs themselves: what waits for evaluation counts too.
                await late.evaluate()
                for model in runs.values():
                    model.evaluated = len(model.states)
    assert models
    assert runs


async def test_two_loops_fire_each_late_run_once_and_at_its_time(
    watched: Watched, database_url: str, connection: DedicatedConnection
) -> None:
    late = Late(watched)
    await late.sla(TO_FINISH, 1)
    database = Database(database_url)
    loops = [SlaTimers(database, max_depth=8, on_deliveries=lambda: None) for _ in range(2)]
    evaluator = Evaluator(
        database,
        max_depth=8,
        poll_seconds=PATIENT_SECONDS,
        on_deliveries=lambda: None,
        on_timer=loops[0].expect,
    )
    parts: list[SlaTimers | Evaluator] = [*loops, evaluator]
    running = [asyncio.create_task(part.run()) for part in parts]
    runs = [await late.run(await watched.flow()) for _ in range(20)]
    for run in runs:
        await late.enter(run, "Running", datetime.now(UTC))
    await evaluated(watched, len(runs))
    for part in parts:
        part.stop()
    await asyncio.gather(*running)
    assert sorted(event["flow_run_id"] for event in await late.fired()) == sorted(str(run) for run in runs)
    for firing in await watched.firings():
        assert firing["created"] >= (await _due(connection, firing["id"]))


async def _due(connection: DedicatedConnection, firing_id: UUID) -> datetime:
    due = await connection.fetchval(
        "SELECT (event ->> 'timestamp')::timestamptz FROM automations.firing WHERE id = $1", firing_id
    )
    assert isinstance(due, datetime)
    return due
