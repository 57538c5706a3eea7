"""Tasks and edges come in batches, compressed or plain, and may come twice."""

import gzip
from base64 import b64encode
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.harness import Automations
from tests.orchestration.asking import refused

TASKS = [{"slug": slug, "name": slug, "retry_delay": 90, "max_retries": 1} for slug in ("extract", "clean", "load")]
EDGES = [
    {"upstream_task": {"slug": "extract"}, "downstream_task": {"slug": "clean"}, "key": "rows", "mapped": True},
    {"upstream_task": {"slug": "clean"}, "downstream_task": {"slug": "load"}, "key": None},
]
SHOWN = """query($id: uuid!) { flow_by_pk(id: $id) {
    tasks(order_by: {created: asc, slug: asc}) {
        slug retry_delay max_retries mapped is_root_task is_terminal_task is_reference_task }
    edges { key } } }"""


def compressed(flow: dict[str, Any]) -> str:
    return b64encode(gzip.compress(orjson.dumps(flow), mtime=0)).decode()


async def flow_of(api: Automations, **serialized: Any) -> str:
    project = (await api.write("create_project", name=uuid4().hex))["id"]
    text = compressed({"name": "etl", **serialized})
    made = await api.write("create_flow_from_compressed_string", project_id=project, serialized_flow=text)
    return str(made["id"])


async def places(api: Automations, flow: str) -> dict[str, tuple[bool, ...]]:
    """Of each task: mapped, first, last, decides."""
    shown = (await api.execute(SHOWN, id=flow))["flow_by_pk"]
    assert len(shown["edges"]) == 2
    assert {(task["retry_delay"], task["max_retries"]) for task in shown["tasks"]} == {("00:01:30", 1)}
    flags = ("mapped", "is_root_task", "is_terminal_task", "is_reference_task")
    return {task["slug"]: tuple(task[flag] for flag in flags) for task in shown["tasks"]}


async def test_graph_comes_inside_a_compressed_flow(api: Automations) -> None:
    flow = await flow_of(api, tasks=TASKS, edges=EDGES, reference_tasks=[{"slug": "clean"}])
    assert await places(api, flow) == {
        "extract": (False, True, False, False),
        "clean": (True, False, False, True),
        "load": (False, False, True, False),
    }


async def test_graph_that_comes_in_batches_and_twice_is_there_once(api: Automations) -> None:
    flow = await flow_of(api)
    for _ in range(2):
        for task in TASKS:
            await api.write("register_tasks", "success", flow_id=flow, serialized_tasks=[task])
        await api.write("register_edges", "success", flow_id=flow, serialized_edges=EDGES)
    assert await places(api, flow) == {
        "extract": (False, True, False, False),
        "clean": (True, False, False, False),
        "load": (False, False, True, True),
    }


async def test_edge_of_a_task_that_is_not_there_is_refused(api: Automations) -> None:
    flow = await flow_of(api, tasks=TASKS[:1])
    message = await refused(api, "NOT_FOUND", "register_edges", flow_id=flow, serialized_edges=EDGES[:1])
    assert "There are no tasks clean in the flow" in message


@pytest.mark.parametrize("given", [{"serialized_tasks": ["x"]}, {"serialized_tasks": [{"slug": 1}]}])
async def test_malformed_task_is_refused(api: Automations, given: dict[str, Any]) -> None:
    assert "slug" in await refused(api, "BAD_USER_INPUT", "register_tasks", flow_id=await flow_of(api), **given)


@pytest.mark.parametrize("text", ["", "x", "eA==", compressed({"name": "x"})[:20]])
async def test_text_that_is_no_compressed_flow_is_refused(api: Automations, text: str) -> None:
    project = (await api.write("create_project", name="p"))["id"]
    given = {"project_id": project, "serialized_flow": text}
    assert "gzip" in await refused(api, "BAD_USER_INPUT", "create_flow_from_compressed_string", **given)
