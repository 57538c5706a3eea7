"""Which Host headers are answered, and which addresses only this machine can reach."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Scope

from automations.hosts import HostCheck, is_loopback


async def status_for(host: str | None, *, listens_on: str = "127.0.0.1", allowed: tuple[str, ...] = ()) -> int:
    """The status of the answer to a request with this Host header."""

    async def hello(_request: Request) -> Response:
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/", hello)], middleware=HostCheck.middleware(listens_on, allowed))
    headers = [] if host is None else [(b"host", host.encode())]
    scope: Scope = {
        "type": "http", "method": "GET", "path": "/", "raw_path": b"/", "root_path": "", "query_string": b"",
        "headers": headers,
    }  # fmt: skip
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:4200", "LocalHost:4200", "localhost.", "localhost.:4200", "127.0.0.1", "127.0.0.1:4200",
        "[::1]", "[::1]:4200", "10.1.2.3:4200", "[2001:db8::1]:80",
    ],
)  # fmt: skip
async def test_localhost_and_addresses_are_answered(host: str) -> None:
    assert await status_for(host) == 200


@pytest.mark.parametrize(
    "host",
    [
        None, "", ":4200", "evil.example", "evil.example:4200", "localhost.evil.example", "127.0.0.1.evil.example",
        "evil.example:localhost", "localhost@evil.example", "[evil.example]", "[localhost].evil.example:80",
    ],
)  # fmt: skip
async def test_other_names_are_misdirected(host: str | None) -> None:
    assert await status_for(host) == 421


@pytest.mark.parametrize(
    "host", ["automations.internal", "automations.internal:80", "Automations.Internal", "automations.internal.:80"]
)
async def test_names_that_the_settings_allow_are_answered(host: str) -> None:
    assert await status_for(host, allowed=("Automations.internal",)) == 200


async def test_name_that_is_listened_on_is_answered() -> None:
    assert await status_for("box.internal:4200", listens_on="box.internal") == 200
    assert await status_for("sub.box.internal:4200", listens_on="box.internal") == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"])
def test_loopback_is_for_this_machine_only(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "box.internal", "localhost.evil.example", "", "fe80::1"])
def test_everything_else_can_be_reached_from_elsewhere(host: str) -> None:
    assert not is_loopback(host)
