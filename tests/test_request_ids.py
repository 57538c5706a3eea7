"""The id of a request stands in every line that is logged about it, and in no other."""

import asyncio

import structlog
from starlette.types import Message, Receive, Scope, Send

from automations.request_ids import RequestIds


async def test_lines_of_a_request_carry_its_id_and_those_of_others_do_not() -> None:
    logged: dict[str, str] = {}

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)  # the others come in between
        logged[scope["path"]] = structlog.contextvars.get_contextvars()["request_id"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})

    async def ask(path: str, request_id: bytes) -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "path": path, "headers": [(b"x-request-id", request_id)]}
        await RequestIds(app)(scope, receive, send)
        return sent

    answers = await asyncio.gather(*(ask(f"/{number}", b"id-%d" % number) for number in range(5)))
    assert logged == {f"/{number}": f"id-{number}" for number in range(5)}
    for number, [message] in enumerate(answers):
        assert message["headers"] == [(b"a", b"b"), (b"x-request-id", b"id-%d" % number)]
    assert "request_id" not in structlog.contextvars.get_contextvars()
