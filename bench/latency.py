"""How long after a state change was committed its webhook arrives, at a quiet and at a busy pace."""

from datetime import datetime
from itertools import islice
from typing import Any

from bench import load, states
from bench.outcome import Goal, Outcome, spread
from bench.rig import Rig
from bench.states import Watched

QUIET, BUSY = 10, 500
WARM_UP = 50
ARRIVE_SECONDS = 60.0


async def run(rig: Rig) -> Outcome:
    """Open loop: calls go out at a fixed pace, one run each, whatever the server does.

    `from_state` counts from the state's timestamp, which is the start of the transaction that wrote it: a little
    before the commit, so it shows too much rather than too little. `from_answer` counts from the moment the caller
    had the mutation's answer, which is after the commit. The floor is the answer time of a bare INSERT at that pace.
    """
    paces = {QUIET: rig.pick(2, 15), BUSY: rig.pick(3, 20)}
    runs = WARM_UP + sum(pace * seconds for pace, seconds in paces.items())
    figures, floors, goals = {}, {}, []
    async with states.watched(rig, runs=runs) as watched, rig.floor_app(watched.database_url) as floor:
        await _measure(watched, per_second=QUIET * 5, count=WARM_UP)
        for pace, seconds in paces.items():
            measured = await _measure(watched, per_second=pace, count=pace * seconds)
            name = f"at_{pace}_per_second"
            figures[name] = measured
            requests = list(islice(states.floor_calls(floor.url), pace * seconds // 2))
            floors[name] = spread((await load.open_loop(floor.url, requests, per_second=pace)).waits)
            goals += [
                Goal(f"p50 from_state at {pace}/s, ms", measured["from_state"]["p50_ms"], at_most=10),
                Goal(f"p99 from_state at {pace}/s, ms", measured["from_state"]["p99_ms"], at_most=50),
            ]
    return Outcome(figures, goals, floors)


async def _measure(watched: Watched, *, per_second: int, count: int) -> dict[str, Any]:
    processor = watched.server.processor_seconds
    numbers = list(islice(watched.runs_left, count))
    requests = [watched.call([number]) for number in numbers]
    sent = await load.open_loop(watched.server.url, requests, per_second=per_second)
    await watched.receiver.wait_for(count, ARRIVE_SECONDS)
    busy = (watched.server.processor_seconds - processor) / sent.seconds
    answered_at = {states.run_id(number): at for number, at in zip(numbers, sent.answered_at, strict=True)}
    arrived = await watched.receiver.take()
    return {
        "sent_per_second": sent.per_second,
        "server_cores": busy,
        "from_state": spread([at - datetime.fromisoformat(body["timestamp"]).timestamp() for at, body in arrived]),
        "from_answer": spread([at - answered_at[body["flow_run_id"]] for at, body in arrived]),
        "answer": spread(sent.waits),
    }
