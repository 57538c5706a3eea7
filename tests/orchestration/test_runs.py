"""Flow runs: states with their versions, agents that race, cancelling, deleting, and calls that are repeated."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from automations.orchestration.states import FINISHED
from tests.harness import Automations, GraphQLError

LOST = "State update failed: this run has already been submitted."


async def read(api: Automations, run: str, fields: str = "state version") -> dict[str, Any]:
    data = await api.execute(f'{{ flow_run_by_pk(id: "{run}") {{ {fields} }} }}')
    return dict(data["flow_run_by_pk"])


async def set_states(api: Automations, *states: tuple[str, str, int | None]) -> Any:
    """Set (run, state, version) in one call."""
    given = [
        {"flow_run_id": run, "state": {"type": state}, **({} if version is None else {"version": version})}
        for run, state, version in states
    ]
    return await api.write("set_flow_run_states", "states { id status message }", states=given)


async def history(api: Automations, run: str) -> list[tuple[str, int]]:
    """The states a run entered, with their versions."""
    fields = "states(order_by: {version: asc}) { state version }"
    return [(row["state"], row["version"]) for row in (await read(api, run, fields))["states"]]


def as_agent(api: Automations, agent_id: str) -> Automations:
    return Automations(api.url, api.client, {**api.headers, "X-PREFECT-AGENT-ID": agent_id})


async def test_new_run_is_scheduled(api: Automations) -> None:
    run = await api.run(await api.flow(), scheduled_start_time="2026-01-31T09:30:00Z")
    shown = await read(api, run, "state version state_message state_start_time serialized_state auto_scheduled name")
    assert (shown["state"], shown["version"], shown["auto_scheduled"]) == ("Scheduled", 1, False)
    assert shown["state_start_time"] == "2026-01-31T09:30:00+00:00"
    assert shown["serialized_state"]["type"] == "Scheduled"
    assert shown["serialized_state"]["start_time"] == "2026-01-31T09:30:00+00:00"
    assert shown["state_message"] == "Flow run scheduled."
    assert shown["name"]


async def test_state_is_copied_to_the_run_as_it_was_sent(api: Automations) -> None:
    run = await api.run(await api.flow())
    state = {
        "type": "Failed",
        "message": "disk full",
        "_result": {"type": "NoResultType"},
        "context": {"tags": ["a"]},
        "start_time": "2026-01-31 09:30:00",
        "__version__": "1.4.1",
    }
    await api.write("set_flow_run_states", "states { id }", states=[{"flow_run_id": run, "state": state}])
    fields = "state version state_message state_result state_start_time state_timestamp serialized_state"
    shown = await read(
        api, run, f"{fields} states(order_by: {{version: desc}}, limit: 1) {{ message timestamp result }}"
    )
    [newest] = shown.pop("states")
    assert newest == {"message": "disk full", "timestamp": shown.pop("state_timestamp"), "result": state["_result"]}
    assert shown == {
        "state": "Failed",
        "version": 2,
        "state_message": "disk full",
        "state_result": {"type": "NoResultType"},
        "state_start_time": "2026-01-31T09:30:00+00:00",
        "serialized_state": state,
    }


async def test_life_of_a_run_sets_its_times(api: Automations) -> None:
    run = await api.run(await api.flow())
    seen = []
    for state in ("Submitted", "Running", "Success"):
        await api.set_state(run, state)
        shown = await read(api, run, "start_time end_time state_timestamp")
        seen.append((shown["start_time"] is not None, shown["end_time"] is not None))
    assert seen == [(False, False), (True, False), (True, True)]
    assert shown["end_time"] == shown["state_timestamp"]
    assert await history(api, run) == [("Scheduled", 1), ("Submitted", 2), ("Running", 3), ("Success", 4)]


async def test_state_names_are_made_canonical(api: Automations) -> None:
    run = await api.run(await api.flow())
    await api.set_state(run, "TRIGGERFAILED")
    assert await read(api, run) == {"state": "TriggerFailed", "version": 2}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, 'A state must be an object with a "type"'),
        ({"type": 5}, 'A state must be an object with a "type"'),
        ([], 'A state must be an object with a "type"'),
        ("Failed", 'A state must be an object with a "type"'),
        ({"type": "Exploded"}, "There is no state 'Exploded'"),
        ({"type": "Failed", "message": 5}, "message must be a string"),
        ({"type": "Failed", "start_time": 5}, "start_time must be an ISO 8601 string"),
        ({"type": "Failed", "start_time": "soon"}, "is not an ISO 8601 time"),
        ({"type": "Failed", "message": "nul \0"}, "must not contain the NUL character"),
        ({"type": "Failed", "context": "nul \0"}, "must not contain the NUL character"),
        ({"type": "Failed", "message": "x" * 1_000_001}, "A state may have 1000000 bytes"),
    ],
)
@pytest.mark.parametrize("agent", [False, True])
async def test_malformed_state_is_refused(api: Automations, state: Any, message: str, agent: bool) -> None:
    run = await api.run(await api.flow())
    caller = as_agent(api, str(uuid4())) if agent else api
    with pytest.raises(GraphQLError, match=message) as caught:
        await caller.write("set_flow_run_states", "states { id }", states=[{"flow_run_id": run, "state": state}])
    assert caught.value.code == "BAD_USER_INPUT"
    assert await read(api, run) == {"state": "Scheduled", "version": 1}


async def test_stale_version_is_refused(api: Automations) -> None:
    run = await api.run(await api.flow())
    await set_states(api, (run, "Running", 1))
    for stale in (0, 1, 3):
        with pytest.raises(GraphQLError, match=f"is at version 2, not {stale}") as caught:
            await set_states(api, (run, "Failed", stale))
        assert caught.value.code == "VERSION_LOCKING_ERROR"
    assert await set_states(api, (run, "Success", None)) == {
        "states": [{"id": run, "status": "SUCCESS", "message": None}]
    }
    assert await history(api, run) == [("Scheduled", 1), ("Running", 2), ("Success", 3)]


async def test_one_refused_state_refuses_the_whole_batch(api: Automations) -> None:
    flow = await api.flow()
    runs = [await api.run(flow) for _ in range(3)]
    missing = str(uuid4())
    for wrong, code in (((runs[1], "Running", 7), "VERSION_LOCKING_ERROR"), ((missing, "Running", None), "NOT_FOUND")):
        with pytest.raises(GraphQLError) as caught:
            await set_states(api, (runs[0], "Running", 1), wrong, (runs[2], "Running", 1))
        assert caught.value.code == code
        assert [await history(api, run) for run in runs] == [[("Scheduled", 1)]] * 3


async def test_run_named_twice_in_a_batch_takes_its_states_in_order(api: Automations) -> None:
    one, two = [await api.run(await api.flow()) for _ in range(2)]
    await set_states(api, (one, "Submitted", 1), (two, "Running", None), (one, "Running", 2), (one, "Failed", None))
    assert await history(api, one) == [("Scheduled", 1), ("Submitted", 2), ("Running", 3), ("Failed", 4)]
    shown = await read(api, one, "state version start_time end_time")
    assert (shown["state"], shown["version"]) == ("Failed", 4)
    assert shown["start_time"]
    assert shown["end_time"]
    with pytest.raises(GraphQLError, match="is at version 2, not 1"):
        await set_states(api, (two, "Success", 2), (two, "Failed", 1))
    third = await api.run(await api.flow())
    with pytest.raises(GraphQLError, match=LOST):
        await set_states(api, (third, "Submitted", None), (third, "Submitted", None))


async def test_empty_batch_does_nothing(api: Automations) -> None:
    assert await api.write("set_flow_run_states", "states { id }", states=[]) == {"states": []}


async def test_batch_has_ten_thousand_states_at_most(api: Automations) -> None:
    run = await api.run(await api.flow())
    with pytest.raises(GraphQLError, match="10000 states at most; 10001 were given"):
        await set_states(api, *[(run, "Running", None)] * 10_001)


@pytest.mark.parametrize("state", ["Submitted", "Running"])
async def test_losing_agent_is_told_that_the_run_was_submitted(api: Automations, state: str) -> None:
    run = await api.run(await api.flow())
    await api.set_state(run, state)
    for version in (None, 1, 2):
        with pytest.raises(GraphQLError) as caught:
            await set_states(api, (run, "Submitted", version))
        assert str(caught.value) == LOST
        assert caught.value.code == "CONFLICT"


async def test_of_many_agents_that_race_exactly_one_wins(api: Automations) -> None:
    flow = await api.flow()
    runs = [await api.run(flow) for _ in range(4)]
    agents = [str((await api.write("register_agent", name=f"agent {number}"))["id"]) for number in range(5)]

    async def take(agent: str, run: str) -> bool:
        try:
            await set_states(as_agent(api, agent), (run, "Submitted", 1))
        except GraphQLError as error:
            assert str(error) == LOST  # noqa: PT017
            return False
        return True

    for run in runs:
        won = await asyncio.gather(*(take(agent, run) for agent in agents))
        assert sum(won) == 1
        shown = await read(api, run, "agent_id agent { id name } heartbeat version")
        assert shown["agent_id"] == shown["agent"]["id"] == agents[won.index(True)]
        assert shown["heartbeat"]
        assert shown["version"] == 2


async def test_only_submitting_makes_a_run_the_agents(api: Automations) -> None:
    agent = str((await api.write("register_agent", name="agent"))["id"])
    run = await api.run(await api.flow())
    await set_states(as_agent(api, agent), (run, "Running", 1))
    assert (await read(api, run, "agent_id"))["agent_id"] is None
    other = await api.run(await api.flow())
    await set_states(as_agent(api, agent), (other, "submitted", 1))
    assert (await read(api, other, "agent_id"))["agent_id"] == agent


async def test_agent_that_is_not_known_takes_runs_all_the_same(api: Automations) -> None:
    run = await api.run(await api.flow())
    await set_states(as_agent(api, str(uuid4())), (run, "Submitted", 1))
    assert await read(api, run, "state agent_id") == {"state": "Submitted", "agent_id": None}


async def test_batches_that_name_the_same_runs_in_opposite_order_do_not_deadlock(api: Automations) -> None:
    flow = await api.flow()
    runs = [await api.run(flow) for _ in range(12)]
    choice = random.Random(1)
    batches = [choice.sample(runs, len(runs)) for _ in range(6)] + [runs, runs[::-1]] * 3
    await asyncio.gather(*(set_states(api, *((run, "Running", None) for run in batch)) for batch in batches))
    for run in runs:
        assert [version for _, version in await history(api, run)] == list(range(1, 14))


async def test_concurrent_states_of_one_run_get_one_version_each(api: Automations) -> None:
    run = await api.run(await api.flow())
    states = ["Running", "Failed", "Success", "Retrying"] * 5
    await asyncio.gather(*(set_states(api, (run, state, None)) for state in states))
    states_seen = await history(api, run)
    assert [version for _, version in states_seen] == list(range(1, 22))
    assert await read(api, run) == {"state": states_seen[-1][0], "version": 21}


async def test_of_concurrent_states_with_one_version_exactly_one_is_taken(api: Automations) -> None:
    run = await api.run(await api.flow())
    results = await asyncio.gather(*(set_states(api, (run, "Running", 1)) for _ in range(6)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, GraphQLError)]
    assert [error.code for error in refused] == ["VERSION_LOCKING_ERROR"] * 5


@pytest.mark.parametrize(
    ("states", "after"),
    [
        ((), "Cancelled"),
        (("Submitted",), "Cancelled"),
        (("Retrying",), "Cancelled"),
        (("Running",), "Cancelling"),
        (("Running", "Cancelling"), "Cancelling"),
    ],
)
async def test_cancelling_stops_a_run_that_is_not_finished(
    api: Automations, states: tuple[str, ...], after: str
) -> None:
    run = await api.run(await api.flow())
    for state in states:
        await api.set_state(run, state)
    before = await read(api, run)
    assert await api.write("cancel_flow_run", "state", flow_run_id=run) == {"state": after}
    shown = await read(api, run, "state version state_message serialized_state end_time")
    assert shown["state"] == after
    if before["state"] != after:
        assert shown["version"] == before["version"] + 1
        assert shown["serialized_state"] == {"type": after, "message": "Flow run was cancelled"}
    assert (shown["end_time"] is not None) == (after == "Cancelled")


@pytest.mark.parametrize("state", FINISHED)
async def test_finished_run_stays_as_it_is(api: Automations, state: str) -> None:
    run = await api.run(await api.flow())
    await api.set_state(run, state)
    assert await api.write("cancel_flow_run", "state", flow_run_id=run) == {"state": state}
    assert await read(api, run) == {"state": state, "version": 2}


async def test_deleted_run_is_gone_with_its_states(api: Automations) -> None:
    run, kept = [await api.run(await api.flow()) for _ in range(2)]
    await api.set_state(run, "Failed")
    assert await api.write("delete_flow_run", "success error", flow_run_id=run) == {"success": True, "error": None}
    data = await api.execute("{ flow_run { id } flow_run_state { flow_run_id } }")
    assert data == {"flow_run": [{"id": kept}], "flow_run_state": [{"flow_run_id": kept}]}


@pytest.mark.parametrize("mutation", ["delete_flow_run", "cancel_flow_run"])
async def test_unknown_run_is_not_found(api: Automations, mutation: str) -> None:
    missing = str(uuid4())
    with pytest.raises(GraphQLError, match=f"There is no flow run {missing}") as caught:
        await api.write(mutation, "__typename", flow_run_id=missing)
    assert caught.value.code == "NOT_FOUND"


async def test_run_takes_what_it_is_given_and_else_what_its_flow_has(api: Automations) -> None:
    project = await api.write("create_project", name="p")
    flow = await api.write(
        "create_flow", project_id=project["id"], serialized_flow={"name": "etl", "run_config": {"type": "LocalRun"}}
    )
    plain = await api.run(flow["id"])
    rich = await api.run(
        flow["id"],
        flow_run_name="mine",
        parameters={"a": 1},
        context={"b": 2},
        labels=["x", "a"],
        run_config={"type": "UniversalRun"},
        scheduled_start_time="2026-01-31T09:30:00Z",
    )
    fields = "parameters context labels run_config"
    assert await read(api, plain, fields) == {
        "parameters": {},
        "context": None,
        "labels": [],
        "run_config": {"type": "LocalRun"},
    }
    assert await read(api, rich, f"{fields} name scheduled_start_time") == {
        "parameters": {"a": 1},
        "context": {"b": 2},
        "labels": ["a", "x"],
        "run_config": {"type": "UniversalRun"},
        "name": "mine",
        "scheduled_start_time": "2026-01-31T09:30:00+00:00",
    }


@pytest.mark.parametrize("parameters", [[], "text", 5, [{"a": 1}]])
async def test_parameters_must_be_an_object(api: Automations, parameters: Any) -> None:
    with pytest.raises(GraphQLError, match="parameters must be an object"):
        await api.run(await api.flow(), parameters=parameters)


async def test_run_needs_a_flow_or_a_version_group_that_exists(api: Automations) -> None:
    flow = await api.flow()
    for given in ({}, {"flow_id": flow, "version_group_id": "x"}):
        with pytest.raises(GraphQLError, match="Give either flow_id or version_group_id"):
            await api.write("create_flow_run", **given)
    for given in ({"flow_id": str(uuid4())}, {"version_group_id": "nope"}):
        with pytest.raises(GraphQLError, match="There is no flow") as caught:
            await api.write("create_flow_run", **given)
        assert caught.value.code == "NOT_FOUND"


async def test_version_group_stands_for_its_newest_version(api: Automations) -> None:
    project = (await api.write("create_project", name="p"))["id"]
    flow = {"project_id": project, "serialized_flow": {"name": "etl"}, "version_group_id": "etl"}
    await api.write("create_flow", **flow)
    newest = (await api.write("create_flow", **flow))["id"]
    run = (await api.write("create_flow_run", version_group_id="etl"))["id"]
    assert (await read(api, run, "flow_id"))["flow_id"] == newest


async def test_idempotency_key_gives_the_same_run_also_to_concurrent_calls(api: Automations) -> None:
    one, two = await api.flow("one"), await api.flow("two")
    made = await asyncio.gather(*(api.run(one, idempotency_key="key") for _ in range(12)))
    assert len(set(made)) == 1
    assert await api.run(one, idempotency_key="key") == made[0]
    assert await api.run(two, idempotency_key="key") != made[0]
    assert await history(api, made[0]) == [("Scheduled", 1)]


async def test_time_without_a_zone_is_utc_and_extremes_are_refused(api: Automations) -> None:
    flow = await api.flow()
    run = await api.run(flow, scheduled_start_time="2026-01-31 09:30:00.5")
    assert (await read(api, run, "scheduled_start_time"))["scheduled_start_time"] == "2026-01-31T09:30:00.5+00:00"
    for extreme in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        with pytest.raises(GraphQLError, match="A value cannot be used") as caught:
            await api.run(flow, scheduled_start_time=extreme)
        assert caught.value.code == "BAD_USER_INPUT"


async def test_run_is_scheduled_for_now_by_default(api: Automations) -> None:
    run = await api.run(await api.flow())
    shown = (await read(api, run, "scheduled_start_time"))["scheduled_start_time"]
    assert abs(datetime.fromisoformat(shown) - datetime.now(UTC)) < timedelta(minutes=1)
