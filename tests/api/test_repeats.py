"""A client that repeats a call after a time-out makes nothing twice."""

import asyncio
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLNonNull

from automations.api.schema import schema
from tests.harness import Automations, GraphQLError

QUIET = {"slack_notification": {"webhook_url_secret": "NEVER"}}
FAILED = {"flow_run_state_changed": {"states": ["Failed"]}}


async def inputs(api: Automations) -> dict[str, dict[str, Any]]:
    """An input for each mutation that makes something."""
    project = (await api.write("create_project", name="for all"))["id"]
    flow = (await api.write("create_flow", project_id=project, serialized_flow={"name": "etl"}))["id"]
    [group] = (await api.execute("{ flow_group { id } }"))["flow_group"]
    action = (await api.write("create_action", config=QUIET))["id"]
    sla = (await api.write("create_flow_sla_config", kind="STARTED_NOT_FINISHED", duration_seconds=60))["id"]
    config = (await api.write("create_agent_config"))["id"]
    return {
        "create_tenant": {"name": f"made by {api.headers['X-PREFECT-TENANT-ID']}"},
        "create_project": {"name": "p"},
        "create_flow": {"project_id": project, "serialized_flow": {"name": "etl"}},
        "create_flow_run": {"flow_id": flow},
        "create_agent_config": {"name": "group"},
        "create_action": {"config": QUIET},
        "create_automation": {"name": "a", "event": FAILED, "actions": [QUIET]},
        "create_flow_run_state_changed_hook": {"action_id": action, "states": ["Failed"]},
        "create_flow_sla_config": {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 60},
        "create_flow_group_sla": {"flow_sla_config_id": sla, "flow_group_id": group["id"]},
        "create_flow_sla_failed_hook": {"action_id": action, "sla_config_ids": [sla]},
        "create_agent_sla_failed_hook": {"action_id": action, "agent_config_ids": [config]},
    }


def test_every_create_mutation_takes_a_key() -> None:
    assert schema._schema.mutation_type is not None
    creates = {name: field for name, field in schema._schema.mutation_type.fields.items() if name.startswith("create_")}
    without = set()
    for name, field in creates.items():
        type_ = field.args["input"].type
        inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        assert isinstance(inner, GraphQLInputObjectType)
        if "idempotency_key" not in inner.fields:
            without.add(name)
    # A key is shown once: a repeat finds its name taken, and makes no second one.
    assert without == {"create_api_key"}


async def test_same_key_gives_the_same_row_whoever_races(api: Automations) -> None:
    given = await inputs(api)
    for mutation, input_ in given.items():
        ids = await asyncio.gather(*(api.write(mutation, **input_, idempotency_key="k") for _ in range(4)))
        assert len({made["id"] for made in ids}) == 1, mutation
        if mutation not in {"create_project", "create_tenant", "create_flow_group_sla"}:  # unique by themselves
            assert (await api.write(mutation, **input_, idempotency_key="l"))["id"] != ids[0]["id"], mutation


async def test_same_key_in_another_tenant_is_another_row(api: Automations) -> None:
    other = api.as_tenant((await api.write("create_tenant", name=f"of {api.headers['X-PREFECT-TENANT-ID']}"))["id"])
    for mutation, input_ in (("create_project", {"name": "p"}), ("create_agent_config", {})):
        made = [await tenant.write(mutation, **input_, idempotency_key="k") for tenant in (api, other)]
        assert made[0]["id"] != made[1]["id"]


async def test_key_of_what_was_deleted_since_is_a_conflict(api: Automations) -> None:
    made = await api.write("create_agent_config", idempotency_key="k")
    await api.write("delete_agent_config", "success", agent_config_id=made["id"])
    with pytest.raises(GraphQLError, match="was deleted") as refused:
        await api.write("create_agent_config", idempotency_key="k")
    assert refused.value.code == "CONFLICT"


async def test_call_that_failed_may_be_repeated_with_its_key(api: Automations) -> None:
    await api.write("create_project", name="taken")
    with pytest.raises(GraphQLError, match=r"Uniqueness violation\."):
        await api.write("create_project", name="taken", idempotency_key="k")
    assert await api.write("create_project", name="free", idempotency_key="k")


async def test_key_of_a_flow_without_a_group_makes_one_group(api: Automations) -> None:
    project = (await api.write("create_project", name="p"))["id"]
    for _ in range(2):
        await api.write("create_flow", project_id=project, serialized_flow={"name": "etl"}, idempotency_key="k")
    data = await api.execute("{ flow { version } flow_group { id } }")
    assert data["flow"] == [{"version": 1}]
    assert len(data["flow_group"]) == 1
