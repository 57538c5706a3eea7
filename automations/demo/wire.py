"""Just enough HTTP/1.1 for both ends of the demo: a client of the API, and the receiver of what is sent."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """A request or an answer."""

    start: str  # its first line
    headers: Mapping[str, str]  # lower-case names
    body: bytes


async def read_message(reader: asyncio.StreamReader) -> Message:
    """The next message; ConnectionError where the other side closes instead or breaks off."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        fields = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except asyncio.IncompleteReadError:
        raise ConnectionResetError("the connection was closed") from None
    return Message(start, headers, body)


def encode(start: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A message as bytes, with its Content-Length."""
    fields = {**(headers or {}), "Content-Length": str(len(body))}
    return "\r\n".join([start, *(f"{name}: {value}" for name, value in fields.items()), "", ""]).encode() + body
