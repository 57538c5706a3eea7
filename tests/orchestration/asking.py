"""What tests of the watched side ask again and again."""

from typing import Any
from uuid import uuid4

import pytest

from tests.harness import Automations, GraphQLError


async def refused(api: Automations, code: str, mutation: str, /, **input_: Any) -> str:
    """The message with which a mutation is refused."""
    with pytest.raises(GraphQLError) as caught:
        await api.write(mutation, "__typename", **input_)
    assert caught.value.code == code
    return str(caught.value)


async def by_pk(api: Automations, table: str, id_: str, fields: str) -> Any:
    """A row's fields; None where it is gone."""
    return (await api.execute(f'{{ {table}_by_pk(id: "{id_}") {{ {fields} }} }}'))[f"{table}_by_pk"]


async def history(api: Automations, flow_run_id: str) -> list[tuple[int, str]]:
    """Version and name of every state of a run, oldest first."""
    row = await by_pk(api, "flow_run", flow_run_id, "states(order_by: {version: asc}) { version state }")
    return [(state["version"], state["state"]) for state in row["states"]]


async def agent(api: Automations, name: str = "agent", **more: Any) -> Automations:
    """The API as a newly registered agent speaks to it; `agent_id` tells its id."""
    made = await api.write("register_agent", **{"name": name, "type": "LocalAgent", **more})
    return Automations(api.url, api.client, {**api.headers, "X-PREFECT-AGENT-ID": made["id"]})


def agent_id(api: Automations) -> str:
    """Id of the agent that speaks."""
    return api.headers["X-PREFECT-AGENT-ID"]


async def other_tenant(api: Automations) -> Automations:
    """The same server as yet another new tenant."""
    return api.as_tenant((await api.write("create_tenant", name=f"tenant {uuid4().hex}"))["id"])
