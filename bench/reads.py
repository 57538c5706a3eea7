"""Reads over GraphQL: what pages poll, a list of 100 rows with 10 columns, and the smallest query there is."""

from collections.abc import Mapping
from itertools import repeat
from typing import Any

from automations.access.keys import create_key
from automations.access.roles import Role
from bench import load, seed
from bench.outcome import Goal, Outcome, middle, spread
from bench.rig import Child, Rig, default_tenant

CLIENTS = 8
ROWS = 1000
PER_SECOND = 100
MOST_MS = 50

COLUMNS = (
    "id", "name", "flow_id", "state", "state_message", "state_timestamp", "scheduled_start_time", "start_time",
    "version", "created",
)  # fmt: skip
_TENANT = "tenant_id = (SELECT id FROM public.tenant LIMIT 1)"
ROWS_SQL = f"SELECT {', '.join(COLUMNS)} FROM public.flow_run WHERE {_TENANT} LIMIT $1"
LIST_SQL = f"SELECT json_agg(item) FROM ({ROWS_SQL}) AS item"
HOOKS_SQL = f"""
SELECT json_agg(item) FROM (
    SELECT id, event_type, event_tags, created, (
        SELECT row_to_json(first) FROM (
            SELECT id, name, action_type, action_config FROM automations.automation_step AS step
            WHERE step.tenant_id = automation.tenant_id AND step.automation_id = automation.id ORDER BY position LIMIT 1
        ) AS first
    ) AS action
    FROM automations.automation WHERE {_TENANT} AND deleted_at IS NULL LIMIT $1
) AS item
"""
RUNS_SQL = f"""
SELECT json_agg(item) FROM (
    SELECT id, name, state, (
        SELECT row_to_json(its_flow) FROM (
            SELECT flow.id, flow.name, (
                SELECT row_to_json(its_project) FROM (
                    SELECT id, name FROM public.project WHERE project.id = flow.project_id
                ) AS its_project
            ) AS project
            FROM public.flow WHERE flow.id = flow_run.flow_id
        ) AS its_flow
    ) AS flow, (
        SELECT json_agg(entered) FROM (
            SELECT state, timestamp, message FROM public.flow_run_state WHERE flow_run_id = flow_run.id
            ORDER BY version, id LIMIT 100
        ) AS entered
    ) AS states
    FROM public.flow_run WHERE {_TENANT} AND state = 'Running'
    ORDER BY scheduled_start_time DESC, id LIMIT $1
) AS item
"""

QUERIES = {
    "list": f"query($limit: Int!) {{ flow_run(limit: $limit) {{ {' '.join(COLUMNS)} }} }}",
    "hooks": "query($limit: Int!) { hook(limit: $limit) { "
    "id event_type event_tags created action { id name action_type action_config } } }",
    "runs": 'query($limit: Int!) { flow_run(where: {state: {_eq: "Running"}}, order_by: {scheduled_start_time: desc}, '
    "limit: $limit) { id name state flow { id name project { id name } } "
    "states(order_by: {version: asc}) { state timestamp message } } }",
}
SMALL = {"hello": "{ hello }", "auth_info": "{ auth_info { role } }"}
"""The smallest queries: the answer to the first is the same for everybody, and kept."""

Places = Mapping[str, tuple[str, bytes]]


async def run(rig: Rig) -> Outcome:
    """In turns, eight clients each: the server, which asks for keys, bare Starlette with the same bytes, and ordinary
    Strawberry objects. Then what pages poll at a steady pace.
    """
    rounds, seconds = rig.pick(3, 9), rig.pick(0.3, 1.0)
    async with rig.database() as url:
        async with rig.connection(url) as connection:
            tenant_id = await default_tenant(connection)
            await seed.flows(connection, tenant_id, 100)
            await seed.runs(connection, tenant_id, ROWS, flows=100)
            await seed.entered_states(connection, tenant_id, ROWS, each=5)
            await seed.automations(connection, tenant_id, 100, ["https://example.com/hook"])
            key = (await create_key(connection, tenant_id, name="bench", role=Role.EDITOR)).text
            await connection.execute("VACUUM (ANALYZE)")
        async with rig.server(url, auth="on") as server, rig.floor_app(url) as floor:
            places = _places(server, floor, key)
            await _check(places)
            measured = [
                {name: await _per_second(*place, seconds) for name, place in places.items()} for _ in range(rounds)
            ]
            waits = {name: await _waits(*places[name], rig.pick(2, 10)) for name in ("hooks", "runs")}
    ratios = middle([_ratios(figures) for figures in measured])
    figures = {f"{name}_per_second": value for name, value in middle(measured).items()}
    own = {f"{name}_per_second": figures.pop(f"{name}_per_second") for name in (*QUERIES, *SMALL)}
    goals = [
        *(
            Goal(f"{name}, of Starlette with the same bytes", ratios[f"{name}_of_starlette"], at_least=0.5)
            for name in QUERIES
        ),
        Goal("list, of Strawberry objects", ratios["list_of_strawberry"], at_least=8),
        Goal("hello, of bare Starlette", ratios["hello_of_starlette"], at_least=0.4),
        *(
            Goal(f"p99 of {name} at {PER_SECOND}/s, ms", wait["p99_ms"], at_most=MOST_MS)
            for name, wait in waits.items()
        ),
    ]
    return Outcome(
        own | ratios | {f"{name}_at_{PER_SECOND}_per_second": wait for name, wait in waits.items()}, goals, figures
    )


def _places(server: Child, floor: Child, key: str) -> Places:
    graphql, headers = f"{server.url}/graphql", {"Authorization": f"Bearer {key}"}
    return {
        **{name: (server.url, load.graphql(graphql, query, headers, limit=100)) for name, query in QUERIES.items()},
        **{name: (server.url, load.graphql(graphql, query, headers)) for name, query in SMALL.items()},
        **{f"starlette_{name}": (floor.url, load.post(f"{floor.url}/{name}", b"{}")) for name in (*QUERIES, "hello")},
        "strawberry_list": (floor.url, load.graphql(f"{floor.url}/strawberry", QUERIES["list"], limit=100)),
    }


def _ratios(figures: dict[str, float]) -> dict[str, float]:
    return {
        **{f"{name}_of_starlette": figures[name] / figures[f"starlette_{name}"] for name in QUERIES},
        **{f"{name}_of_starlette": figures[name] / figures["starlette_hello"] for name in SMALL},
        "list_of_strawberry": figures["list"] / figures["strawberry_list"],
    }


async def _check(places: Places) -> None:
    """A comparison of answers that differ would mean nothing."""
    answers: dict[str, Any] = {name: (await load.ask(*place))["data"] for name, place in places.items()}
    for name in QUERIES:
        [ours], [floors] = answers[name].values(), answers[f"starlette_{name}"].values()
        if ours != floors or len(ours) != 100:
            raise RuntimeError(f"the answers to {name} are not the same")
    if len(answers["strawberry_list"]["flow_run"]) != 100:
        raise RuntimeError("Strawberry gave other rows")


async def _per_second(url: str, request: bytes, seconds: float) -> float:
    return (await load.closed_loop(url, repeat(request), clients=CLIENTS, seconds=seconds)).per_second


async def _waits(url: str, request: bytes, seconds: int) -> dict[str, float]:
    return spread((await load.open_loop(url, [request] * (PER_SECOND * seconds), per_second=PER_SECOND)).waits)
