"""Looks after the whole: says when something is wrong and when it is over, in the log and to the automations that wait
for it, and gives a sign of life outside.

One process of all that share the database does; when it ends, another one takes over.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from automations.database import Database, DedicatedConnection
from automations.engine.loop import Bell, keep_running, look_alone
from automations.engine.problems import judge_problems
from automations.health import LATE, measure
from automations.http import Http, HttpError

log = structlog.get_logger(__name__)

LOCK = 7305804403
LOOK_SECONDS = 15.0
PING_SECONDS = 60.0


class Watch:
    """Looks every 15 s. While evaluation and delivery keep up, `ping_url` gets a GET every minute."""

    def __init__(
        self, database: Database, http: Http, *, ping_url: str | None, on_deliveries: Callable[[], None]
    ) -> None:
        self._database, self._http, self._ping_url = database, http, ping_url
        self._on_deliveries = on_deliveries
        self._bell = Bell()
        self._problems: dict[str, str] = {}
        self._pinged_at = -PING_SECONDS

    def stop(self) -> None:
        """Stop after the look under way."""
        self._bell.stop()

    async def run(self) -> None:
        """Look until stopped."""
        await keep_running("watch", self._database, self._work, self._bell)

    async def _work(self, connection: DedicatedConnection) -> None:
        await look_alone(connection, self._look, self._bell, lock=LOCK, every_seconds=LOOK_SECONDS)

    async def _look(self, connection: DedicatedConnection) -> None:
        now = datetime.now(UTC)
        health = await measure(connection, now=now)
        self._tell(health.problems)
        if await judge_problems(connection, health, now=now):
            self._on_deliveries()
        if not LATE & health.problems.keys():
            await self._ping()

    def _tell(self, problems: dict[str, str]) -> None:
        """Each problem once when it comes, and once when it is over."""
        for name in problems.keys() - self._problems.keys():
            log.warning(name, advice=problems[name])
        for name in self._problems.keys() - problems.keys():
            log.info("over: " + name)
        self._problems = problems

    async def _ping(self) -> None:
        loop_time = asyncio.get_running_loop().time()
        if self._ping_url is None or loop_time - self._pinged_at < PING_SECONDS:
            return
        self._pinged_at = loop_time
        try:
            answer = await self._http.request("GET", self._ping_url, destination="ping", timeout_seconds=10)
            if answer.status_code >= 400:
                log.warning("the sign of life was refused", status_code=answer.status_code)
        except HttpError as error:
            log.warning("the sign of life did not arrive", reason=str(error))
