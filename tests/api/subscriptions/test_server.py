"""Streams and the real server: it stops at once although they have no end, and its sockets hear text."""

import asyncio
from pathlib import Path

import httpx

from tests.api.subscriptions.conftest import open_socket
from tests.harness import ServerProcess

RUNS = "subscription { flow_run_changed { state } }"


async def test_server_stops_soon_although_streams_are_open(tmp_path: Path, database_url: str) -> None:
    server = await ServerProcess.start(tmp_path, database_url)
    try:
        async with server.client() as api, open_socket(api) as raw, httpx.AsyncClient(timeout=30) as client:
            await raw.init()
            await raw.subscribe("a", RUNS)
            body, headers = {"query": RUNS}, {"accept": "text/event-stream"}
            async with client.stream("POST", f"{api.url}/graphql", json=body, headers=headers) as response:
                chunks = response.aiter_text()
                assert await anext(chunks) == ":\n\n"
                await asyncio.sleep(0.3)
                async with asyncio.timeout(8):
                    stopping = asyncio.create_task(server.stop())
                    assert "event: complete" in "".join([chunk async for chunk in chunks])
                    assert (await raw.closed())[0] == 1012  # Service Restart: clients try again
                    assert await stopping == 0
    finally:
        await server.stop()
