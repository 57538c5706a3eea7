"""Server-sent events in the distinct connections mode of graphql-sse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest

from tests.harness import Automations

EVENTS = "text/event-stream"
RUNS = "subscription { flow_run_changed { id state flow { flow_runs { id } } } }"


class Stream:
    """The events of one answer."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str, Any]:
        """The next event: its name and its data."""
        name = ""
        async with asyncio.timeout(10):
            async for line in self._lines:
                if line.startswith("event:"):
                    name = line.removeprefix("event:").strip()
                elif line.startswith("data:"):
                    text = line.removeprefix("data:").strip()
                    return name, orjson.loads(text) if text else None
        return "end", None


@asynccontextmanager
async def stream(api: Automations, query: str, *, method: str = "POST", **headers: str) -> AsyncIterator[Stream]:
    """An operation's events, once the stream has begun."""
    given = {**api.headers, "accept": EVENTS, **headers}
    more: dict[str, Any] = {"json": {"query": query}} if method == "POST" else {"params": {"query": query}}
    async with api.client.stream(method, f"{api.url}/graphql", headers=given, **more) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == f"{EVENTS}; charset=utf-8"
        yield Stream(response)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_rows_come_as_events(api: Automations, method: str) -> None:
    run = await api.run(await api.flow())
    async with stream(api, RUNS, method=method) as events:
        await asyncio.sleep(0.3)  # nothing tells when a stream's subscription has begun
        await api.set_state(run, "Running")
        name, answer = await events.next()
        while answer["data"]["flow_run_changed"]["state"] == "Scheduled":  # it was made a moment before
            name, answer = await events.next()
        assert name == "next"
        assert answer["data"]["flow_run_changed"] == {
            "id": run, "state": "Running", "flow": {"flow_runs": [{"id": run}]},
        }  # fmt: skip


async def test_query_is_one_event_and_its_end(api: Automations) -> None:
    async with stream(api, "{ hello }") as events:
        assert await events.next() == ("next", {"data": {"hello": "👋"}})
        assert await events.next() == ("complete", None)
        assert await events.next() == ("end", None)


@pytest.mark.parametrize(
    "query", ["{ nonsense }", "subscription { nonsense }", "subscription { flow_run_changed(flow_run_id: 5) { id } }"]
)
async def test_operation_that_cannot_begin_is_told_in_an_event(api: Automations, query: str) -> None:
    async with stream(api, query) as events:
        name, answer = await events.next()
        assert (name, answer["errors"][0]["extensions"]["code"]) == ("next", "BAD_USER_INPUT")
        assert await events.next() == ("complete", None)


async def test_mutation_by_get_is_not_done(api: Automations) -> None:
    async with stream(api, 'mutation { create_project(input: {name: "x"}) { id } }', method="GET") as events:
        assert "by POST" in (await events.next())[1]["errors"][0]["message"]
    assert (await api.execute("{ project { name } }"))["project"] == []


async def test_quiet_stream_is_kept_alive(api: Automations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automations.api.subscriptions.stream.KEEP_ALIVE_SECONDS", 0.05)
    async with stream(api, RUNS) as events:
        chunks = events.response.aiter_text()
        assert [(await anext(chunks)).strip("\n")[:1] for _ in range(3)] == [":", ":", ":"]


async def test_refused_request_is_no_stream(api: Automations) -> None:
    headers = {**api.headers, "accept": EVENTS}
    response = await api.client.post(f"{api.url}/graphql", json=[{"query": "{ hello }"}] * 2, headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (400, "application/json")
