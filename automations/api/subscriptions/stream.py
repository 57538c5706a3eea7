"""Server-sent events: one operation a request, in the distinct connections mode of graphql-sse.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md: results are `next` events, errors that keep it from
beginning included, and `complete` is the last one.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from automations.api.media_types import EVENT_STREAM
from automations.api.subscriptions.hub import Subscription
from automations.api.subscriptions.permit import Permit
from automations.api.subscriptions.start import Refused, Starter
from automations.errors import Unauthenticated

KEEP_ALIVE_SECONDS = 12.0
"""Proxies close a connection on which nothing is sent for a minute or less."""
_HEADERS = [
    (b"content-type", f"{EVENT_STREAM}; charset=utf-8".encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
]
_COMPLETE = "event: complete\ndata:\n\n"
_ALIVE = ":\n\n"


class EventStream:
    """An ASGI response that sends events until there are no more, or the client goes."""

    def __init__(self, events: AsyncGenerator[str, None], closed: Callable[[], None]) -> None:
        self._events, self._closed = events, closed

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._events.aclose()
            self._closed()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        await send({"type": "http.response.body", "body": _ALIVE.encode(), "more_body": True})
        with suppress(OSError):
            async for event in self._events:
                await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
            await send({"type": "http.response.body", "body": b""})


async def answer_events(answer: Awaitable[dict[str, Any]]) -> AsyncGenerator[str, None]:
    """The events of a query or a mutation."""
    for event in _only(await answer):
        yield event


async def subscription_events(starter: Starter, request: dict[str, Any], permit: Permit) -> AsyncGenerator[str, None]:
    """The events of a subscription."""
    rung = asyncio.Event()

    def wake(_subscription: Subscription) -> None:
        rung.set()

    try:
        subscription = await starter.start(request, permit.caller, wake)
    except Refused as refused:
        for event in _only({"errors": refused.errors}):
            yield event
        return
    try:
        while not subscription.ended:
            await permit.check()
            for result in subscription.take():
                yield _next(result)
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    await rung.wait()
            except TimeoutError:
                yield _ALIVE
            rung.clear()
        if subscription.errors:
            yield _next(orjson.dumps({"errors": subscription.errors}).decode())
        yield _COMPLETE
    except Unauthenticated as error:
        for event in _only({"errors": [{"message": str(error), "extensions": {"code": error.code}}]}):
            yield event
    finally:
        starter.end(subscription)


def _only(answer: dict[str, Any]) -> tuple[str, str]:
    return _next(orjson.dumps(answer).decode()), _COMPLETE


def _next(result: str) -> str:
    return f"event: next\ndata: {result}\n\n"


async def _left(receive: Receive) -> None:
    """Return once the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
