"""Agents: who they are, what waits for them, and their only sign of life."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from automations.database import DedicatedConnection
from automations.orchestration.agents import register_agent
from automations.orchestration.queue import touch_agents
from tests.harness import Automations, GraphQLError

LONG_AGO, NOW, LATER = "2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z"


async def register(api: Automations, **given: Any) -> str:
    core_version = given.pop("core_version", None)
    headers = {"X-PREFECT-CORE-VERSION": core_version} if core_version else {}
    caller = Automations(api.url, api.client, {**api.headers, **headers})
    return str((await caller.write("register_agent", **given))["id"])


async def queue(api: Automations, *labels: str, before: str = NOW, agent: str | None = None) -> list[str]:
    headers = {"X-PREFECT-AGENT-ID": agent} if agent else {}
    caller = Automations(api.url, api.client, {**api.headers, **headers})
    answer = await caller.write("get_runs_in_queue", "flow_run_ids", before=before, labels=list(labels))
    return list(answer["flow_run_ids"])


async def agent_config(connection: DedicatedConnection, tenant_id: UUID) -> UUID:
    made: UUID = await connection.fetchval(
        "INSERT INTO public.agent_config (tenant_id) VALUES ($1) RETURNING id", tenant_id
    )
    return made


async def test_agent_is_the_same_for_the_same_name_type_version_and_labels(api: Automations) -> None:
    given = {"name": "a", "type": "LocalAgent", "labels": ["y", "x"], "core_version": "1.4.1"}
    first = await register(api, **given)
    assert await register(api, **given) == first
    assert await register(api, **{**given, "labels": ["x", "y", "x"]}) == first
    others = [
        await register(api, **{**given, **other})
        for other in (
            {"name": "b"},
            {"type": "DockerAgent"},
            {"labels": ["x"]},
            {"core_version": "1.4.2"},
            {"name": None},
        )
    ]
    assert len({first, *others}) == 6
    [shown] = (
        await api.execute(
            f'{{ agent(where: {{id: {{_eq: "{first}"}}}}) {{ name type labels core_version last_queried }} }}'
        )
    )["agent"]
    assert shown == {
        "name": "a",
        "type": "LocalAgent",
        "labels": ["x", "y"],
        "core_version": "1.4.1",
        "last_queried": None,
    }


async def test_agent_without_anything_is_one_agent_too(api: Automations) -> None:
    made = await asyncio.gather(*(register(api) for _ in range(6)))
    assert len(set(made)) == 1


async def test_new_agent_config_is_stored_and_an_absent_one_keeps_the_old(
    connection: DedicatedConnection, tenant_id: UUID
) -> None:
    async def registered(config: UUID | None) -> tuple[UUID, Any]:
        agent = await register_agent(
            connection, tenant_id, name="a", type_=None, core_version=None, labels=[], agent_config_id=config
        )
        stored = await connection.fetchval("SELECT agent_config_id FROM public.agent WHERE id = $1", agent)
        return agent, stored

    one, two = await agent_config(connection, tenant_id), await agent_config(connection, tenant_id)
    agent, stored = await registered(None)
    assert stored is None
    assert await registered(one) == (agent, one)
    assert await registered(None) == (agent, one)
    assert await registered(two) == (agent, two)


async def test_unknown_agent_config_is_not_found(api: Automations) -> None:
    with pytest.raises(GraphQLError, match="There is no agent config") as caught:
        await register(api, agent_config_id=str(uuid4()))
    assert caught.value.code == "NOT_FOUND"


async def test_queue_is_in_the_order_of_start_times(api: Automations) -> None:
    flow = await api.flow()
    starts = ["2025-03-01", "2025-01-01", "2025-02-01", "2024-01-01"]
    runs = {start: await api.run(flow, scheduled_start_time=f"{start}T00:00:00Z") for start in starts}
    assert await queue(api) == [runs[start] for start in sorted(starts)]


async def test_queue_holds_what_may_start_before_the_given_time(api: Automations) -> None:
    flow = await api.flow()
    due = await api.run(flow, scheduled_start_time=NOW)
    later = await api.run(flow, scheduled_start_time=LATER)
    assert await queue(api, before="2025-12-31T23:59:59Z") == []
    assert await queue(api, before=NOW) == [due]
    assert await queue(api, before="2026-01-01 00:00:05") == [due, later]


async def test_queue_is_asked_for_now_by_default(api: Automations) -> None:
    flow = await api.flow()
    due = await api.run(flow, scheduled_start_time=LONG_AGO)
    await api.run(flow, scheduled_start_time=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    data = await api.execute("mutation { get_runs_in_queue(input: {}) { flow_run_ids } }")
    assert data["get_runs_in_queue"] == {"flow_run_ids": [due]}


async def test_queue_has_25_runs_at_most(api: Automations) -> None:
    flow = await api.flow()
    runs = [await api.run(flow, scheduled_start_time=f"2025-01-01T00:00:{second:02}Z") for second in range(27)]
    assert await queue(api) == runs[:25]


async def test_only_scheduled_runs_wait(api: Automations) -> None:
    flow = await api.flow()
    for state in ("Submitted", "Running", "Success", "Cancelled", "Pending", "Queued"):
        run = await api.run(flow, scheduled_start_time=LONG_AGO)
        await api.set_state(run, state)
    assert await queue(api) == []
    await api.write(
        "set_flow_run_states",
        "states { id }",
        states=[{"flow_run_id": run, "state": {"type": "Scheduled", "start_time": LATER}}],
    )
    assert await queue(api) == []
    assert await queue(api, before=LATER) == [run]


async def test_runs_labels_must_be_among_the_agents(api: Automations) -> None:
    flow = await api.flow()
    none = await api.run(flow, scheduled_start_time="2025-01-01T00:00:00Z")
    one = await api.run(flow, scheduled_start_time="2025-01-02T00:00:00Z", labels=["a"])
    two = await api.run(flow, scheduled_start_time="2025-01-03T00:00:00Z", labels=["b", "a"])
    assert await queue(api) == [none]
    assert await queue(api, "a") == [one]
    assert await queue(api, "b") == []
    assert await queue(api, "c", "a", "b") == [one, two]
    assert await queue(api, "A") == []


async def test_asking_with_an_agents_id_is_its_sign_of_life(api: Automations) -> None:
    agent, other = await register(api, name="a"), await register(api, name="b")

    async def last_queried() -> dict[str, Any]:
        rows = (await api.execute("{ agent { id last_queried } }"))["agent"]
        return {row["id"]: row["last_queried"] for row in rows}

    await queue(api)
    assert await last_queried() == {agent: None, other: None}
    await queue(api, agent=agent)
    seen = await last_queried()
    assert abs(datetime.fromisoformat(seen[agent]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert seen[other] is None
    await queue(api, agent=str(uuid4()))
    assert await last_queried() == seen


async def test_sign_of_life_is_the_time_that_is_given_once_a_second(
    connection: DedicatedConnection, tenant_id: UUID
) -> None:
    agent = await register_agent(
        connection, tenant_id, name="a", type_=None, core_version=None, labels=[], agent_config_id=None
    )
    start = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    written = []
    for milliseconds in (0, 500, 999, 1001, 500):
        await touch_agents(connection, [(tenant_id, agent)], now=start + timedelta(milliseconds=milliseconds))
        seen = await connection.fetchval("SELECT last_queried FROM public.agent WHERE id = $1", agent)
        written.append(round((seen - start) / timedelta(milliseconds=1)))
    assert written == [0, 0, 0, 1001, 500], "a clock that was set back is believed"


async def test_those_who_ask_together_get_each_what_is_theirs(api: Automations) -> None:
    flow = await api.flow()
    plain = await api.run(flow, scheduled_start_time=LONG_AGO)
    labelled = await api.run(flow, scheduled_start_time=LONG_AGO, labels=["gpu"])
    later = await api.run(flow, scheduled_start_time=LATER)
    agents = [await register(api, name=f"agent {number}") for number in range(3)]
    asked = [((), NOW, agents[0]), (("gpu",), NOW, agents[1]), ((), LATER, agents[2]), ((), LONG_AGO, None)]
    answers = await asyncio.gather(
        *(queue(api, *labels, before=before, agent=agent) for labels, before, agent in asked * 10)
    )
    assert answers == [[plain], [labelled], [plain, later], [plain]] * 10
    rows = (await api.execute("{ agent { id last_queried } }"))["agent"]
    assert {row["id"] for row in rows if row["last_queried"]} == set(agents)


async def test_who_asks_hears_of_an_error_and_the_next_ones_are_answered(
    shared_server: Automations, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise ConnectionResetError

    with monkeypatch.context() as broken:
        broken.setattr("automations.orchestration.queue.answer_all", fail)
        with pytest.raises(GraphQLError, match="cannot be reached"):
            await queue(shared_server)
    assert await queue(shared_server, "nobody's") == []


async def test_deleted_agent_is_gone_and_its_runs_stay(api: Automations) -> None:
    agent = await register(api, name="a")
    run = await api.run(await api.flow())
    caller = Automations(api.url, api.client, {**api.headers, "X-PREFECT-AGENT-ID": agent})
    await caller.set_state(run, "Submitted")
    assert await api.write("delete_agent", "success error", agent_id=agent) == {"success": True, "error": None}
    data = await api.execute("{ agent { id } flow_run { id state agent_id } }")
    assert data == {"agent": [], "flow_run": [{"id": run, "state": "Submitted", "agent_id": None}]}
    with pytest.raises(GraphQLError, match=f"There is no agent {agent}") as caught:
        await api.write("delete_agent", "success", agent_id=agent)
    assert caught.value.code == "NOT_FOUND"
