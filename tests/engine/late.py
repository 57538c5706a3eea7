"""Runs whose states come at times of the test's own, SLAs that watch them, and a model of which runs are late."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from automations.actions.webhook import Webhook
from automations.database import DedicatedConnection
from automations.definitions.automations import create_automation, update_automation
from automations.definitions.triggers import parse_trigger
from automations.engine.evaluator import evaluate_batch
from automations.engine.sla import Taken, fire_due
from automations.orchestration.states import FINISHED
from tests.engine.watched import Flow, Watched

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TO_START, TO_FINISH = "SCHEDULED_NOT_STARTED", "STARTED_NOT_FINISHED"
WAITING = ("Pending", "Queued", "ClientFailed")
ANCHORS = {TO_START: ("Scheduled", "Retrying"), TO_FINISH: ("Running",)}
OPEN = ("Pending", "Scheduled", "Retrying", "Queued", "ClientFailed", "Submitted", "Cancelling")


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


@dataclass
class Late:
    """The watched side with a clock of the test's."""

    watched: Watched

    @property
    def connection(self) -> DedicatedConnection:
        return self.watched.connection

    async def run(self, flow: Flow, *, scheduled: datetime = NOON) -> UUID:
        """Id of a new run without a state."""
        run = await self.watched.run(flow)
        await self.connection.execute("UPDATE flow_run SET scheduled_start_time = $2 WHERE id = $1", run, scheduled)
        return run

    async def enter(self, run: UUID, state: str, when: datetime, *, start: datetime | None = None) -> None:
        """Let a run enter a state at a time; `start` is when a scheduled one may start."""
        await self.connection.execute(
            """
            INSERT INTO flow_run_state (tenant_id, flow_run_id, state, timestamp, start_time, version)
            SELECT $1, id, $3, $4, $5, version + 1 FROM flow_run WHERE id = $2
            """,
            self.watched.tenant_id,
            run,
            state,
            when,
            start,
        )

    async def sla(self, kind: str, seconds: int, *flows: Flow, enabled: bool = True) -> UUID:
        """Id of a new automation that waits for runs of these flows (none: all) to be late."""
        fields = {"kind": kind, "duration_seconds": seconds, "flow_group_ids": [flow.flow_group_id for flow in flows]}
        async with self.connection.transaction():
            saved = await create_automation(
                self.connection,
                self.watched.tenant_id,
                name="late",
                description=None,
                enabled=enabled,
                trigger=parse_trigger({"flow_sla_failed": fields}),
                actions=[Webhook(url="https://hooks.example.com/")],
            )
        return saved.id

    async def change(self, automation: UUID, fields: dict[str, Any] | None = None, **changes: Any) -> None:
        """Change an automation's SLA or what else there is to it."""
        async with self.connection.transaction():
            await update_automation(
                self.connection,
                self.watched.tenant_id,
                automation,
                changes=changes,
                trigger=None if fields is None else parse_trigger({"flow_sla_failed": fields}),
                actions=None,
            )

    async def evaluate(self) -> None:
        """Evaluate all that is on the queue."""
        while (await evaluate_batch(self.connection, now=NOON, max_depth=8))["changes"]:
            pass

    async def tick(self, when: datetime) -> Taken:
        """Take the timers that are due at a time."""
        return await fire_due(self.connection, now=when, max_depth=8)

    async def fired(self) -> list[dict[str, Any]]:
        """The events of all firings."""
        return [orjson.loads(firing["event"]) for firing in await self.watched.firings()]

    async def timers(self) -> int:
        return int(await self.connection.fetchval("SELECT count(*) FROM automations.sla_timer"))


@dataclass
class Sla:
    """One of the model."""

    id: UUID
    kind: str
    seconds: int


@dataclass
class ModelRun:
    """A run as the model knows it: what it went through, and how much of that the evaluator has seen."""

    scheduled: datetime
    states: list[tuple[str, datetime, datetime | None]] = field(default_factory=list)
    evaluated: int = 0

    def anchor(self, kind: str) -> tuple[int, datetime] | None:
        """Place and time of the newest state from which an SLA of this kind counts."""
        for place in range(len(self.states) - 1, -1, -1):
            state, when, start = self.states[place]
            if state in ANCHORS[kind]:
                if kind == TO_FINISH:
                    return place, when
                if start is not None or state == "Scheduled":
                    return place, start or self.scheduled
        return None

    def is_late(self, sla: Sla, now: datetime) -> datetime | None:
        """The anchor of a run that is late now and that the evaluator knows of."""
        found = self.anchor(sla.kind)
        if found is None or found[0] >= self.evaluated or now < found[1] + timedelta(seconds=sla.seconds):
            return None
        later = [state for state, _, _ in self.states[found[0] + 1 :]]
        settled = any(state not in (OPEN if sla.kind == TO_FINISH else WAITING) for state in later)
        return None if settled else found[1]


def random_state(chance: random.Random, now: datetime) -> tuple[str, datetime | None]:
    """A state, often one that matters; a scheduled one may have a time to start."""
    state = chance.choice(("Scheduled", "Retrying", "Running", "Running", "Submitted", *FINISHED[:6], *WAITING))
    start = None
    if state in ANCHORS[TO_START] and chance.random() < 0.7:
        start = now + timedelta(seconds=chance.randint(-20, 40))
    return state, start


def pairs(events: Iterable[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """(run, SLA, time that was missed) of events, sorted."""
    return sorted((event["flow_run_id"], event["flow_sla_config_id"], event["timestamp"]) for event in events)
