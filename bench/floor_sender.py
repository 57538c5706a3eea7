"""The floor of delivery: plain httpx, in a process of its own, `python -m bench.floor_sender ARRANGEMENT`.

Reads {"urls", "body", "count"} from its standard input, POSTs `count` times over the URLs in turn, at most ten at once
to each and a hundred in all, and prints the wall and processor seconds as a line of JSON.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import httpx
import orjson
import uvloop

EACH, TOTAL = 10, 100

Workers = list[tuple[httpx.AsyncClient, str]]


def _client(connections: int) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx.AsyncClient(limits=limits, timeout=30, verify=_SHARED_CONTEXT)


_SHARED_CONTEXT = httpx.create_ssl_context()


def _slots(urls: list[str]) -> list[str]:
    """The URL that each of the senders at work at once sends to."""
    return [url for _ in range(EACH) for url in urls][:TOTAL]


async def _one_client(urls: list[str], stack: AsyncExitStack) -> Workers:
    client = await stack.enter_async_context(_client(TOTAL))
    return [(client, url) for url in _slots(urls)]


async def _client_per_destination(urls: list[str], stack: AsyncExitStack) -> Workers:
    clients = {url: await stack.enter_async_context(_client(EACH)) for url in urls}
    return [(clients[url], url) for url in _slots(urls)]


async def _client_per_sender(urls: list[str], stack: AsyncExitStack) -> Workers:
    return [(await stack.enter_async_context(_client(1)), url) for url in _slots(urls)]


ARRANGEMENTS = {
    "one_client": _one_client,
    "client_per_destination": _client_per_destination,
    "client_per_sender": _client_per_sender,
}


async def _send_all(arrangement: str, urls: list[str], body: bytes, count: int) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        workers = await ARRANGEMENTS[arrangement](urls, stack)
        left = iter(range(count))
        wall, processor = time.perf_counter(), time.process_time()
        await asyncio.gather(*(_keep_sending(client, url, body, left) for client, url in workers))
        return {"seconds": time.perf_counter() - wall, "processor_seconds": time.process_time() - processor}


async def _keep_sending(client: httpx.AsyncClient, url: str, body: bytes, left: Iterator[int]) -> None:
    for _ in left:
        response = await client.post(url, content=body, headers={"content-type": "application/json"})
        response.raise_for_status()


if __name__ == "__main__":
    work = orjson.loads(sys.stdin.buffer.read())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(_send_all(sys.argv[1], work["urls"], work["body"].encode(), work["count"]))
    print(orjson.dumps(figures).decode(), flush=True)
