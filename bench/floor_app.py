"""The floor of the API: `python -m bench.floor_app DATABASE_URL` serves bare Starlette routes under the same uvicorn.

Prints its URL as a line of JSON, and stops at SIGTERM.
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import orjson
import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from strawberry.asgi import GraphQL

from automations import server
from bench.reads import HOOKS_SQL, LIST_SQL, ROWS_SQL, RUNS_SQL

JSON = "application/json"


@strawberry.type
class FlowRun:
    """The ten columns as ordinary Strawberry fields."""

    id: strawberry.ID
    name: str | None
    flow_id: strawberry.ID
    state: str | None
    state_message: str | None
    state_timestamp: datetime | None
    scheduled_start_time: datetime
    start_time: datetime | None
    version: int
    created: datetime


@strawberry.type
class Query:
    @strawberry.field
    async def flow_run(self, info: strawberry.Info[dict[str, Any], None], limit: int) -> list[FlowRun]:
        pool: asyncpg.Pool[asyncpg.Record] = info.context["request"].app.state.pool
        return [FlowRun(**row) for row in await pool.fetch(ROWS_SQL, limit)]


def create_app(database_url: str) -> Starlette:
    """Routes that do only what cannot be left out."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        settings = {"timezone": "UTC", "jit": "off"}
        async with asyncpg.create_pool(database_url, min_size=1, max_size=10, server_settings=settings) as pool:
            app.state.pool = pool
            yield

    return Starlette(
        routes=[
            Route("/hello", _hello, methods=["POST"]),
            Route("/insert", _writer("INSERT INTO floor (run, state) VALUES ($1, $2)"), methods=["POST"]),
            Route(
                "/insert-many",
                _writer("INSERT INTO floor (run, state) SELECT * FROM unnest($1::text[], $2::text[])"),
                methods=["POST"],
            ),
            Route("/list", _reader(LIST_SQL, "flow_run"), methods=["POST"]),
            Route("/hooks", _reader(HOOKS_SQL, "hook"), methods=["POST"]),
            Route("/runs", _reader(RUNS_SQL, "flow_run"), methods=["POST"]),
            Route("/strawberry", GraphQL(strawberry.Schema(Query, config=_plain_names()), graphql_ide=None)),
        ],
        lifespan=lifespan,
    )


def _plain_names() -> Any:
    return strawberry.schema.config.StrawberryConfig(auto_camel_case=False)


async def _hello(request: Request) -> Response:
    await request.body()
    return Response('{"data":{"hello":"👋"}}', media_type=JSON)


def _writer(statement: str) -> Callable[[Request], Awaitable[Response]]:
    async def write(request: Request) -> Response:
        body = orjson.loads(await request.body())
        await request.app.state.pool.execute(statement, body["run"], body["state"])
        return Response("{}", media_type=JSON)

    return write


def _reader(statement: str, key: str) -> Callable[[Request], Awaitable[Response]]:
    async def read(request: Request) -> Response:
        await request.body()
        rows = await request.app.state.pool.fetchval(statement, 100)
        return Response(f'{{"data":{{"{key}":{rows}}}}}', media_type=JSON)

    return read


if __name__ == "__main__":
    bound = server.listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    server.run(create_app(sys.argv[1]), bound, on_ready=lambda: print(orjson.dumps(url).decode(), flush=True))
