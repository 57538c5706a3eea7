"""Webhooks a second from one process with a backlog, to one destination and to a hundred."""

from collections import Counter

import orjson

from bench import seed
from bench.floor_sender import ARRANGEMENTS
from bench.outcome import Goal, Outcome, middle
from bench.rig import Child, Receiver, Rig, default_tenant

DESTINATIONS = (1, 100)
ARRIVE_SECONDS = 120.0
PER_SECOND = "_per_second"
QUICK_ARRANGEMENTS = ("client_per_destination", "client_per_sender")  # one client for all has never been the best


async def run(rig: Rig) -> Outcome:
    """Let many runs fail in one transaction; the server evaluates, sends and records. In turns with plain httpx, which
    sends a body of the same size to the same receiver and records nothing.
    """
    figures, floors, goals = {}, {}, []
    for destinations in DESTINATIONS:
        measured, floor = await _with_destinations(rig, destinations)
        best = max(value for figure, value in floor.items() if figure.endswith(PER_SECOND))
        name = f"to_{destinations}_destinations"
        figures[name] = {**measured, "of_best_floor": measured["delivered_per_second"] / best}
        floors[name] = floor
        goals.append(
            Goal(f"of the best httpx floor, {destinations} destinations", figures[name]["of_best_floor"], at_least=0.8)
        )
    return Outcome(figures, goals, floors)


async def _with_destinations(rig: Rig, destinations: int) -> tuple[dict[str, float], dict[str, float]]:
    rounds, count = rig.pick(1, 3), rig.pick(1_500, 6_000)
    measured, floors = [], []
    async with rig.database() as url, rig.receiver(destinations) as receiver, rig.connection(url) as connection:
        tenant_id = await default_tenant(connection)
        await seed.flows(connection, tenant_id, destinations)
        await seed.runs(connection, tenant_id, count * (rounds + 1), flows=destinations)
        await seed.automations(connection, tenant_id, destinations, receiver.urls)
        await connection.execute("ANALYZE")
        async with rig.server(url) as server:
            numbers = range(1, count // 10 + 1)
            await seed.fail_runs(connection, tenant_id, numbers)
            await _deliver(server, receiver, len(numbers))
            for _ in range(rounds):
                numbers = range(numbers.stop, numbers.stop + count)
                await seed.fail_runs(connection, tenant_id, numbers)
                delivered, body = await _deliver(server, receiver, count)
                measured.append(delivered)
                floors.append(await _post(rig, receiver, body, count))
    return middle(measured), middle(floors)


async def _deliver(server: Child, receiver: Receiver, count: int) -> tuple[dict[str, float], str]:
    """Figures of one backlog, and a body as it was sent."""
    processor = server.processor_seconds
    await receiver.wait_for(count, ARRIVE_SECONDS)
    arrived = await receiver.take()
    spent = server.processor_seconds - processor
    times = sorted(at for at, _ in arrived)
    most_often = max(Counter(body["id"] for _, body in arrived).values())
    figures = {
        "delivered_per_second": len(times) / (times[-1] - times[0]),
        "server_processor_ms_each": 1000 * spent / len(times),
        "most_tries_of_one": float(most_often),
    }
    return figures, orjson.dumps(arrived[0][1]).decode()


async def _post(rig: Rig, receiver: Receiver, body: str, count: int) -> dict[str, float]:
    figures = {}
    for arrangement in rig.pick(QUICK_ARRANGEMENTS, tuple(ARRANGEMENTS)):
        took = await rig.floor_sender(arrangement, urls=list(receiver.urls), body=body, count=count)
        await receiver.take()
        figures[f"{arrangement}{PER_SECOND}"] = count / took["seconds"]
        figures[f"{arrangement}_processor_ms_each"] = 1000 * took["processor_seconds"] / count
    return figures
