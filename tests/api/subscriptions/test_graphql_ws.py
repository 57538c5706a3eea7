"""The client that most pages use: npm's graphql-ws."""

import asyncio

import orjson

from tests.harness import Automations
from tests.node import run_node


async def test_subscriber_of_npm_hears_of_a_change(api: Automations) -> None:
    run = await api.run(await api.flow())

    async def keep_changing() -> None:
        while True:
            await api.set_state(run, "Running")
            await asyncio.sleep(0.1)

    changing = asyncio.create_task(keep_changing())  # who subscribes hears of what comes after that
    try:
        heard = await run_node(
            "subscribe.cjs",
            api.url.replace("http://", "ws://") + "/graphql",
            orjson.dumps(api.headers).decode(),
            "subscription { flow_run_changed { id state } }",
        )
    finally:
        changing.cancel()
    assert heard == {"data": {"flow_run_changed": {"id": run, "state": "Running"}}}
