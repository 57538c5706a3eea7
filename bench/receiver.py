"""The far end of webhooks, in a process of its own: `python -m bench.receiver PORTS`.

Prints its URLs as a line of JSON, then answers commands from its standard input, a line each, until that is closed:
`wait COUNT SECONDS` gives how many requests came, `take` gives what came since the last one, [time, body] each.
"""

import asyncio
import sys
import time
from typing import Any, cast

import httptools
import orjson
import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOK_SECONDS = 0.005

Received = list[tuple[float, bytes]]


class _Hook(asyncio.Protocol):
    """Takes the time of each request when its last byte is here, and answers at once."""

    def __init__(self, received: Received) -> None:
        self._received, self._body = received, b""
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._received.append((time.time(), self._body))
        self._body = b""
        self._transport.write(ANSWER)


async def _receive(ports: int) -> None:
    loop = asyncio.get_running_loop()
    received: Received = []
    servers = [await loop.create_server(lambda: _Hook(received), "127.0.0.1", 0, backlog=512) for _ in range(ports)]
    _say([f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers])
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async for line in commands:
        match line.split():
            case [b"wait", count, seconds]:
                ends_at = loop.time() + float(seconds)
                while len(received) < int(count) and loop.time() < ends_at:  # noqa: ASYNC110 - an event costs more
                    await asyncio.sleep(LOOK_SECONDS)
                _say(len(received))
            case [b"take"]:
                _say([(at, body.decode()) for at, body in received])
                received.clear()


def _say(answer: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_receive(int(sys.argv[1])))
