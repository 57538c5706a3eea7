"""State changes a second through the API, each with a webhook: one a call (`single`) and a hundred (`batch`)."""

from collections.abc import Iterable
from itertools import islice

from bench import load, states
from bench.outcome import Goal, Outcome, middle
from bench.rig import Child, Rig
from bench.states import MATCHED, UNMATCHED, Watched

CLIENTS = 16
BATCH = 100
WARM_UP = 200
ARRIVE_SECONDS = 120.0
MOST_PER_SECOND = 2000


async def run_single(rig: Rig) -> Outcome:
    """One state a call, for some seconds. The floor: an INSERT a POST in a bare Starlette app."""
    rounds, seconds = rig.pick(1, 3), rig.pick(2.0, 8.0)
    runs = WARM_UP + int(2 * rounds * seconds * MOST_PER_SECOND)
    async with states.watched(rig, runs=runs) as watched, rig.floor_app(watched.database_url) as floor:
        await _warm_up(watched)
        measured, floors = [], []
        for _ in range(rounds):
            measured.append(
                {
                    **await _fire(watched, watched.calls(states=1), seconds),
                    **await _fire_nothing(watched, states_each=1, seconds=seconds / 2),
                }
            )
            floors.append(await _insert(floor, states_each=1, seconds=seconds / 2))
        figures = middle(measured) | {"server_mib": watched.server.resident_mib}
    goals = [
        Goal("accepted states/s", figures["accepted_per_second"], at_least=500),
        Goal("delivered/s, first call to last webhook", figures["delivered_per_second"], at_least=500),
        Goal("seconds from the last answer to the last webhook", figures["drain_seconds"], at_most=1),
    ]
    return Outcome(figures, goals, _with_ratio(figures, middle(floors)))


async def run_batch(rig: Rig) -> Outcome:
    """A hundred states a call, a number of calls. The floor: a hundred rows an INSERT in a bare Starlette app."""
    rounds, calls = rig.pick(1, 3), rig.pick(20, 100)
    unmatched_seconds = rig.pick(0.5, 2.0)
    runs = WARM_UP + int(rounds * BATCH * (calls + unmatched_seconds * MOST_PER_SECOND / 10))
    async with states.watched(rig, runs=runs) as watched, rig.floor_app(watched.database_url) as floor:
        await _warm_up(watched)
        measured, floors = [], []
        for _ in range(rounds):
            requests = list(islice(watched.calls(states=BATCH), calls))
            measured.append(
                {
                    **await _fire(watched, requests, ARRIVE_SECONDS, states_each=BATCH),
                    **await _fire_nothing(watched, states_each=BATCH, seconds=unmatched_seconds),
                }
            )
            floors.append(await _insert(floor, states_each=BATCH, seconds=unmatched_seconds))
        figures = middle(measured) | {"server_mib": watched.server.resident_mib}
    goals = [Goal("accepted states/s", figures["accepted_per_second"], at_least=3000)]
    return Outcome(figures, goals, _with_ratio(figures, middle(floors)))


async def _fire(
    watched: Watched, requests: Iterable[bytes], seconds: float, *, states_each: int = 1
) -> dict[str, float]:
    """Let runs fail; wait for all webhooks. Processor time is the server process's, API and delivery together."""
    processor = watched.server.processor_seconds
    sent = await load.closed_loop(watched.server.url, requests, clients=CLIENTS, seconds=seconds)
    count = sent.count * states_each
    await watched.receiver.wait_for(count, ARRIVE_SECONDS)
    arrived = [at for at, _ in await watched.receiver.take()]
    spent = watched.server.processor_seconds - processor
    return {
        "accepted_per_second": count / sent.seconds,
        "delivered_per_second": count / (max(arrived) - min(sent.sent_at)),
        "delivered_while_accepting_per_second": sum(at <= max(sent.answered_at) for at in arrived) / sent.seconds,
        "drain_seconds": max(0.0, max(arrived) - max(sent.answered_at)),
        "server_processor_ms_each": 1000 * spent / count,
        "delivered_twice": float(len(arrived) - count),
    }


async def _fire_nothing(watched: Watched, *, states_each: int, seconds: float) -> dict[str, float]:
    """The same calls with a state that no automation waits for: what the API alone can take."""
    calls = watched.calls(states=states_each, state=UNMATCHED)
    sent = await load.closed_loop(watched.server.url, calls, clients=CLIENTS, seconds=seconds)
    return {"accepted_without_match_per_second": sent.count * states_each / sent.seconds}


async def _insert(floor: Child, *, states_each: int, seconds: float) -> dict[str, float]:
    calls = states.floor_calls(floor.url, states=states_each)
    sent = await load.closed_loop(floor.url, calls, clients=CLIENTS, seconds=seconds)
    return {"inserted_per_second": sent.count * states_each / sent.seconds}


async def _warm_up(watched: Watched) -> None:
    requests = list(islice(watched.calls(states=1, state=MATCHED), WARM_UP))
    await load.closed_loop(watched.server.url, requests, clients=CLIENTS, seconds=ARRIVE_SECONDS)
    await watched.receiver.wait_for(WARM_UP, ARRIVE_SECONDS)
    await watched.receiver.take()


def _with_ratio(figures: dict[str, float], floors: dict[str, float]) -> dict[str, float]:
    """The floor, and which part of it the product reaches."""
    inserted = floors["inserted_per_second"]
    return {
        **floors,
        "accepted_of_floor": figures["accepted_per_second"] / inserted,
        "accepted_without_match_of_floor": figures["accepted_without_match_per_second"] / inserted,
    }
