"""Reads over GraphQL: a list of 100 rows with 10 columns, and the smallest query there is."""

from itertools import repeat

from bench import load, seed
from bench.outcome import Goal, Outcome, middle
from bench.rig import Rig, default_tenant

CLIENTS = 8
ROWS = 1000

COLUMNS = (
    "id", "name", "flow_id", "state", "state_message", "state_timestamp", "scheduled_start_time", "start_time",
    "version", "created",
)  # fmt: skip
ROWS_SQL = f"""
SELECT {", ".join(COLUMNS)} FROM public.flow_run
WHERE tenant_id = (SELECT id FROM public.tenant LIMIT 1)
LIMIT $1
"""
LIST_SQL = f"SELECT json_agg(item) FROM ({ROWS_SQL}) AS item"
QUERY = f"query($limit: Int!) {{ flow_run(limit: $limit) {{ {' '.join(COLUMNS)} }} }}"


async def run(rig: Rig) -> Outcome:
    """In turns, eight clients each: the server, bare Starlette with the same bytes, and ordinary Strawberry objects."""
    rounds, seconds = rig.pick(3, 9), rig.pick(0.3, 1.0)
    async with rig.database() as url:
        async with rig.connection(url) as connection:
            tenant_id = await default_tenant(connection)
            await seed.flows(connection, tenant_id, 1)
            await seed.runs(connection, tenant_id, ROWS, flows=1)
            await connection.execute("ANALYZE")
        async with rig.server(url) as server, rig.floor_app(url) as floor:
            places = {
                "list": (server.url, load.graphql(f"{server.url}/graphql", QUERY, limit=100)),
                "hello": (server.url, load.graphql(f"{server.url}/graphql", "{ hello }")),
                "starlette_list": (floor.url, load.post(f"{floor.url}/list", b"{}")),
                "starlette_hello": (floor.url, load.post(f"{floor.url}/hello", b"{}")),
                "strawberry_list": (floor.url, load.graphql(f"{floor.url}/strawberry", QUERY, limit=100)),
            }
            await _check(places)
            measured = [
                {name: await _per_second(*place, seconds) for name, place in places.items()} for _ in range(rounds)
            ]
    ratios = middle([_ratios(figures) for figures in measured])
    figures = {f"{name}_per_second": value for name, value in middle(measured).items()}
    own = {name: figures.pop(name) for name in ("list_per_second", "hello_per_second")}
    goals = [
        Goal("list, of Starlette with the same bytes", ratios["list_of_starlette"], at_least=0.5),
        Goal("list, of Strawberry objects", ratios["list_of_strawberry"], at_least=8),
        Goal("hello, of bare Starlette", ratios["hello_of_starlette"], at_least=0.4),
    ]
    return Outcome(own | ratios, goals, figures)


def _ratios(figures: dict[str, float]) -> dict[str, float]:
    return {
        "list_of_starlette": figures["list"] / figures["starlette_list"],
        "list_of_strawberry": figures["list"] / figures["strawberry_list"],
        "hello_of_starlette": figures["hello"] / figures["starlette_hello"],
    }


async def _check(places: dict[str, tuple[str, bytes]]) -> None:
    """A comparison of answers that differ would mean nothing."""
    answers = {name: await load.ask(*place) for name, place in places.items()}
    rows = {name: len(answer["data"].get("flow_run", ())) for name, answer in answers.items()}
    if answers["list"] != answers["starlette_list"] or not rows["list"] == rows["strawberry_list"] == 100:
        raise RuntimeError(f"the answers are not the same; rows: {rows}")


async def _per_second(url: str, request: bytes, seconds: float) -> float:
    return (await load.closed_loop(url, repeat(request), clients=CLIENTS, seconds=seconds)).per_second
