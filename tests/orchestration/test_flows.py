"""Projects, flows and their versions, and the switch of their schedules."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.harness import Automations, GraphQLError

SCHEDULE = {"clocks": [{"type": "IntervalClock", "interval": 60_000_000}]}


async def project(api: Automations, name: str = "p") -> str:
    return str((await api.write("create_project", name=name))["id"])


async def register(api: Automations, project_id: str, name: str = "etl", **more: Any) -> str:
    """Id of a new version of the version group `etl`."""
    given = {"serialized_flow": {"name": name}, "version_group_id": "etl", **more}
    return str((await api.write("create_flow", project_id=project_id, **given))["id"])


async def flows(api: Automations, fields: str) -> list[dict[str, Any]]:
    return list((await api.execute(f"{{ flow(order_by: {{version: asc}}) {{ {fields} }} }}"))["flow"])


async def test_registered_flow_shows_its_parts(api: Automations) -> None:
    serialized = {
        "name": "etl",
        "__version__": "1.4.1",
        "parameters": [{"name": "x", "required": False}],
        "storage": {"type": "Local"},
        "environment": {"type": "LocalEnvironment"},
        "run_config": {"type": "LocalRun", "labels": ["a"]},
        "schedule": SCHEDULE,
        "tasks": [],
    }
    project_id = await project(api)
    await register(api, project_id, serialized_flow=serialized, description="what it does")
    [flow] = await flows(
        api,
        "name version version_group_id project_id description archived is_schedule_active core_version parameters"
        " storage environment run_config schedule serialized_flow flow_group { name } project { name }",
    )
    assert flow == {
        "name": "etl",
        "version": 1,
        "version_group_id": "etl",
        "project_id": project_id,
        "description": "what it does",
        "archived": False,
        "is_schedule_active": True,
        "core_version": "1.4.1",
        "parameters": serialized["parameters"],
        "storage": serialized["storage"],
        "environment": serialized["environment"],
        "run_config": serialized["run_config"],
        "schedule": SCHEDULE,
        "serialized_flow": serialized,
        "flow_group": {"name": "etl"},
        "project": {"name": "p"},
    }


async def test_new_version_takes_the_place_of_the_older_ones(api: Automations) -> None:
    project_id = await project(api)
    made = [await register(api, project_id, serialized_flow={"name": "etl", "schedule": SCHEDULE}) for _ in range(3)]
    rows = await flows(api, "id version archived is_schedule_active flow_group_id")
    assert [row["id"] for row in rows] == made
    assert [(row["version"], row["archived"], row["is_schedule_active"]) for row in rows] == [
        (1, True, False),
        (2, True, False),
        (3, False, True),
    ]
    assert len({row["flow_group_id"] for row in rows}) == 1


async def test_flow_without_a_version_group_continues_that_of_its_name_in_the_project(api: Automations) -> None:
    project_id, other_id = await project(api), await project(api, "other")
    for where, name in ((project_id, "etl"), (project_id, "etl"), (project_id, "elt"), (other_id, "etl")):
        await register(api, where, name, version_group_id=None)
    rows = await flows(api, "name version archived project_id version_group_id flow_group_id")
    assert sorted((row["name"], row["project_id"], row["version"], row["archived"]) for row in rows) == sorted([
        ("elt", project_id, 1, False), ("etl", project_id, 1, True), ("etl", project_id, 2, False),
        ("etl", other_id, 1, False),
    ])  # fmt: skip
    assert len({row["version_group_id"] for row in rows}) == len({row["flow_group_id"] for row in rows}) == 3


async def test_concurrent_registrations_get_one_version_each(api: Automations) -> None:
    project_id = await project(api)
    await asyncio.gather(*(register(api, project_id) for _ in range(8)))
    rows = await flows(api, "version archived")
    assert [(row["version"], row["archived"]) for row in rows] == [(n, n < 8) for n in range(1, 9)]


async def test_idempotency_key_gives_the_newest_version_again(api: Automations) -> None:
    project_id = await project(api)
    made = await asyncio.gather(*(register(api, project_id, idempotency_key="hash") for _ in range(6)))
    assert len(set(made)) == 1
    changed = await register(api, project_id, idempotency_key="other hash")
    assert changed != made[0]
    assert await register(api, project_id, idempotency_key="other hash") == changed
    back = await register(api, project_id, idempotency_key="hash")  # not the newest's key: a version of its own
    assert back not in {made[0], changed}
    assert [row["version"] for row in await flows(api, "version")] == [1, 2, 3]


@pytest.mark.parametrize("serialized", [{}, {"name": 5}, {"name": ""}, [], "text", 5])
async def test_flow_needs_a_name(api: Automations, serialized: Any) -> None:
    with pytest.raises(GraphQLError, match='serialized_flow must be an object with a "name"') as caught:
        await register(api, await project(api), serialized_flow=serialized)
    assert caught.value.code == "BAD_USER_INPUT"


async def test_flow_needs_a_project_that_exists(api: Automations) -> None:
    missing = str(uuid4())
    with pytest.raises(GraphQLError, match=f"There is no project {missing}") as caught:
        await register(api, missing)
    assert caught.value.code == "NOT_FOUND"


async def test_schedule_is_switched_on_and_off(api: Automations) -> None:
    project_id = await project(api)
    flow = await register(
        api, project_id, serialized_flow={"name": "etl", "schedule": SCHEDULE}, set_schedule_active=False
    )
    seen = []
    for mutation in (None, "set_schedule_active", "set_schedule_active", "set_schedule_inactive"):
        if mutation:
            assert (await api.write(mutation, "success error", flow_id=flow)) == {"success": True, "error": None}
        seen.append((await flows(api, "is_schedule_active"))[0]["is_schedule_active"])
    assert seen == [False, True, True, False]


async def test_flow_without_a_schedule_has_none_active(api: Automations) -> None:
    await register(api, await project(api), set_schedule_active=True)
    assert (await flows(api, "is_schedule_active")) == [{"is_schedule_active": False}]


@pytest.mark.parametrize("mutation", ["set_schedule_active", "set_schedule_inactive"])
async def test_schedule_of_an_unknown_flow_is_not_found(api: Automations, mutation: str) -> None:
    missing = str(uuid4())
    with pytest.raises(GraphQLError, match=f"There is no flow {missing}") as caught:
        await api.write(mutation, "success", flow_id=missing)
    assert caught.value.code == "NOT_FOUND"


async def test_project_of_the_same_name_is_refused_with_the_words_clients_look_for(api: Automations) -> None:
    await project(api, "etl")
    with pytest.raises(GraphQLError) as caught:
        await project(api, "etl")
    assert (str(caught.value), caught.value.code) == ("Uniqueness violation.", "CONFLICT")


async def test_of_concurrent_projects_of_one_name_one_is_made(api: Automations) -> None:
    results = await asyncio.gather(*(project(api) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, str) for result in results) == 1
    assert len((await api.execute("{ project { id } }"))["project"]) == 1


@pytest.mark.parametrize("name", ["", " "])
async def test_project_and_tenant_need_a_name(api: Automations, name: str) -> None:
    for mutation in ("create_project", "create_tenant"):
        with pytest.raises(GraphQLError, match="name must not be empty") as caught:
            await api.write(mutation, name=name)
        assert caught.value.code == "BAD_USER_INPUT"


async def test_name_too_long_for_its_index_is_refused(api: Automations) -> None:
    name = "".join(uuid4().hex for _ in range(500))
    with pytest.raises(GraphQLError, match="too long for its place") as caught:
        await project(api, name)
    assert caught.value.code == "LIMIT_EXCEEDED"


async def test_tenant_gets_a_slug_from_its_name(api: Automations) -> None:
    unique = uuid4().hex
    made = (await api.write("create_tenant", name=f"  Data & {unique} Team! "))["id"]
    assert (await api.as_tenant(made).execute("{ tenant { id slug } }"))["tenant"] == [
        {"id": made, "slug": f"data-{unique}-team"}
    ]
    with pytest.raises(GraphQLError, match="There is a tenant with the slug") as caught:
        await api.write("create_tenant", name="other", slug=f"data-{unique}-team")
    assert caught.value.code == "CONFLICT"


@pytest.mark.parametrize("given", [{"name": "日本"}, {"name": "x", "slug": "A"}, {"name": "x", "slug": "-a"}])
async def test_slug_that_cannot_be_used_is_refused(api: Automations, given: dict[str, str]) -> None:
    with pytest.raises(GraphQLError, match="slug takes lower-case letters") as caught:
        await api.write("create_tenant", **given)
    assert caught.value.code == "BAD_USER_INPUT"
