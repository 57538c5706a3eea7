"""A GraphQL client that calls again while the server does not answer, as Prefect's does."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from automations.demo.wire import Message, encode, read_message

CALL_SECONDS = 10.0
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 1.0


class GraphQLError(Exception):
    """The server answered, with an error; `code` is its extensions.code."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error["message"])
        self.code = error.get("extensions", {}).get("code")


class Api:
    """The server's API. `url` may change at any time: a call under way goes on there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.repeated_calls = 0

    async def execute(self, query: str, *, agent_id: str | None = None, **variables: Any) -> Any:
        """The answer's data. GraphQLError is final; no answer and 5xx are not."""
        body = orjson.dumps({"query": query, "variables": variables})
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if agent_id is not None:
            headers["X-PREFECT-AGENT-ID"] = agent_id
        wait_seconds = FIRST_WAIT_SECONDS
        while True:
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    answer = orjson.loads((await self._post(body, headers)).body)
                break
            except OSError:  # no connection, one that broke, or a time-out
                self.repeated_calls += 1
                await asyncio.sleep(wait_seconds)
                wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS)
        if answer.get("errors"):
            raise GraphQLError(answer["errors"][0])
        return answer["data"]

    async def write(self, mutation: str, fields: str = "id", /, *, agent_id: str | None = None, **input_: Any) -> Any:
        """The payload of a mutation that is given this input."""
        query = f"mutation($input: {mutation}_input!) {{ {mutation}(input: $input) {{ {fields} }} }}"
        return (await self.execute(query, agent_id=agent_id, input=input_))[mutation]

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> Message:
        address = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            writer.write(encode(f"POST {address.path} HTTP/1.1", body, {"Host": address.netloc, **headers}))
            answer = await read_message(reader)
        finally:
            writer.close()
        # Anything else is no answer: 5xx, or our own words, where the port is free and the kernel gave it to us.
        if not answer.start.startswith(("HTTP/1.1 2", "HTTP/1.1 4")):
            raise ConnectionError(answer.start)
        return answer
