"""What pages ask for among a million flow runs: by state, time, flow and project, the newest first, and counts."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import repeat

from bench import load, seed
from bench.outcome import Goal, Outcome, spread
from bench.rig import Rig, default_tenant

FLOWS, PROJECTS, PER_DAY = 1000, 10, 10_000
MOST_MS = 20

_ROW = "{ id name state scheduled_start_time flow { name project { name } } }"
_COUNT = "{ aggregate { count } }"
_BUSY, _RARE, _FORMER = seed.id_of("flow", 3), seed.id_of("flow", FLOWS - 50), seed.id_of("flow", 50)
_NEWEST = "order_by: {scheduled_start_time: desc}"


async def run(rig: Rig) -> Outcome:
    """One client asks for each again and again; times are those of the whole answer."""
    count, seconds = rig.pick(100_000, 1_000_000), rig.pick(0.2, 2.0)
    async with rig.database() as url:
        async with rig.connection(url) as connection:
            tenant_id = await default_tenant(connection)
            await seed.flows(connection, tenant_id, FLOWS, projects=PROJECTS)
            await seed.history(connection, tenant_id, count, flows=FLOWS, per_day=PER_DAY)
            await connection.execute("VACUUM (ANALYZE)")
            await connection.execute("CHECKPOINT")
        async with rig.server(url) as server:
            figures = {}
            for name, query in filters(datetime.now(UTC)).items():
                requests = repeat(load.graphql(f"{server.url}/graphql", query))
                figures[name] = spread((await load.closed_loop(server.url, requests, clients=1, seconds=seconds)).waits)
    goals = [Goal(f"p50 of {name}, ms", figure["p50_ms"], at_most=MOST_MS) for name, figure in figures.items()]
    return Outcome({"runs": count} | figures, goals)


def filters(now: datetime) -> Mapping[str, str]:
    """Queries over what `seed.history` makes, by what they look for."""
    return dict(_lists(now)) | dict(_relations()) | dict(_counts(now))


def _lists(now: datetime) -> Iterator[tuple[str, str]]:
    day = f'_gte: "{(now - timedelta(days=1)).isoformat()}"'
    failed, running = 'state: {_eq: "Failed"}', 'state: {_eq: "Running"}'
    yield "newest", f"{{ flow_run({_NEWEST}) {_ROW} }}"
    yield "a_later_page", f"{{ flow_run({_NEWEST}, offset: 1000) {_ROW} }}"
    yield "of_a_day", _runs(f'scheduled_start_time: {{{day}, _lt: "{now.isoformat()}"}}')
    yield "of_a_state", _runs(failed)
    yield "of_several_states", _runs('state: {_in: ["Failed", "TimedOut", "Cancelled"]}')
    yield "of_a_state_and_day", _runs(f"{failed}, scheduled_start_time: {{{day}}}")
    yield "entered_a_state_lately", _runs(f"{failed}, state_timestamp: {{{day}}}", "order_by: {state_timestamp: desc}")
    yield "at_work_for_longest", _runs(running, "order_by: {start_time: asc}")
    for name, flow_id in {"busy": _BUSY, "rare": _RARE, "former": _FORMER}.items():
        flow = f'flow_id: {{_eq: "{flow_id}"}}'
        yield f"of_a_{name}_flow", _runs(flow)
        yield f"of_a_{name}_flow_and_state", _runs(f"{flow}, {failed}")
        yield f"of_a_{name}_flow_and_day", _runs(f"{flow}, scheduled_start_time: {{{day}}}")


def _relations() -> Iterator[tuple[str, str]]:
    project = f'project_id: {{_eq: "{seed.id_of("project", 1)}"}}'
    yield "of_a_project", _runs(f"flow: {{{project}}}")
    yield "of_a_project_and_state", _runs(f'flow: {{{project}}}, state: {{_eq: "Failed"}}')
    yield "of_a_project_by_name", _runs('flow: {project: {name: {_eq: "project 1"}}}')
    yield "of_a_flow_group", _runs(f'flow: {{flow_group_id: {{_eq: "{seed.id_of("flow_group", 50)}"}}}}')
    yield "of_a_flow_by_name", _runs('flow: {name: {_eq: "flow 50"}}')
    yield "latest_of_each_flow", f"{{ flow {{ name flow_runs({_NEWEST}, limit: 1) {{ state }} }} }}"
    upcoming = 'where: {state: {_eq: "Scheduled"}}, order_by: {scheduled_start_time: asc}, limit: 1'
    yield "upcoming_of_each_flow", f"{{ flow {{ name flow_runs({upcoming}) {{ scheduled_start_time }} }} }}"


def _counts(now: datetime) -> Iterator[tuple[str, str]]:
    day = f'scheduled_start_time: {{_gte: "{(now - timedelta(days=1)).isoformat()}"}}'
    yield "count_of_a_state", _counted('state: {_eq: "Failed"}')
    yield "count_of_a_day", _counted(day)
    yield "count_of_a_state_and_day", _counted(f'state: {{_eq: "Failed"}}, {day}')
    yield "count_of_a_flow", _counted(f'flow_id: {{_eq: "{_RARE}"}}')


def _runs(where: str, order: str = _NEWEST) -> str:
    return f"{{ flow_run(where: {{{where}}}, {order}) {_ROW} }}"


def _counted(where: str) -> str:
    return f"{{ flow_run_aggregate(where: {{{where}}}) {_COUNT} }}"
