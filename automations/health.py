"""What the database says of the health of all servers that share it: what waits, for how long, and what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from automations.database import Connection, load_queries

queries = load_queries("health")

LATE_SECONDS = 30.0
"""From then on, what waits to be evaluated, sent or fired is late. Ordinarily it takes milliseconds."""

PROBLEMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "EVALUATION_LATE": "evaluation is late",
        "DELIVERIES_LATE": "deliveries are late",
        "TIMERS_LATE": "timers are late",
        "DESTINATION_FAILS": "a destination fails",
        "ACTION_PAUSED": "an action is paused",
        "SECRET_MISSING": "a secret is missing",
    }
)
"""What can be wrong: as events name it, and as people read it."""

LATE: Final = frozenset(PROBLEMS[name] for name in ("EVALUATION_LATE", "DELIVERIES_LATE", "TIMERS_LATE"))
"""Problems that keep people from hearing of things."""

LONG_OPENINGS = 10
"""A circuit that opened so often in a row has been failing for an hour: 30 s, 1, 2, 4, 8 minutes, then every 10."""


def _figure(meaning: str) -> Any:
    return field(metadata={"meaning": meaning})


@dataclass(frozen=True)
class Health:
    """Figures over all tenants."""

    changes_waiting: int = _figure("State changes that wait to be evaluated")
    change_lag_seconds: float = _figure("How long the oldest of these has waited")
    deliveries_pending: int = _figure("Deliveries that are not sent yet, retries among them")
    deliveries_due: int = _figure("Deliveries that wait for a free place only")
    delivery_lag_seconds: float = _figure("How long the oldest of these has been due")
    deliveries_sending: int = _figure("Deliveries being sent")
    leases_run_out: int = _figure("Deliveries whose process died and that nobody has taken over yet")
    timers_overdue: int = _figure("SLA timers that are due and did not fire yet")
    timer_lag_seconds: float = _figure("By how much the oldest of these is overdue")
    agent_groups_down: int = _figure("Agent configs that have too few healthy agents for an automation")
    destinations_failing: int = _figure("Destinations whose circuit is open")
    destinations_failing_long: int = _figure("Destinations that have failed for an hour or more")
    actions_paused: int = _figure("Actions whose receiver is gone")
    actions_without_secret: int = _figure("Actions that use a secret that does not exist")
    automations: int = _figure("Automations that there are")

    @property
    def problems(self) -> dict[str, str]:
        """What somebody should look at: a name for each problem, and a sentence that says what to do."""
        found = {
            "EVALUATION_LATE": self.change_lag_seconds > LATE_SECONDS
            and f"{self.changes_waiting} state changes wait to be evaluated, the oldest for "
            f"{self.change_lag_seconds:.0f} s. Does a server with the role engine run?",
            "DELIVERIES_LATE": self.delivery_lag_seconds > LATE_SECONDS
            and f"{self.deliveries_due} deliveries wait for a free place, the oldest for "
            f"{self.delivery_lag_seconds:.0f} s. Does a server with the role delivery run? If it does, add one.",
            "TIMERS_LATE": self.timer_lag_seconds > LATE_SECONDS
            and f"{self.timers_overdue} SLA timers are overdue, the oldest by {self.timer_lag_seconds:.0f} s. "
            "Does a server with the role engine run?",
            "DESTINATION_FAILS": self.destinations_failing_long
            and f"{self.destinations_failing_long} destinations have failed for an hour or more. The table destination "
            "names them, with the reason; deliveries to them wait.",
            "ACTION_PAUSED": self.actions_paused
            and f"{self.actions_paused} actions are paused: their receivers said that they are gone. Change their "
            "config to resume them, or delete them.",
            "SECRET_MISSING": self.actions_without_secret
            and f"{self.actions_without_secret} actions use a secret that does not exist: set it, or sending fails.",
        }
        return {PROBLEMS[name]: text for name, text in found.items() if text}


MEANINGS: Final = {item.name: item.metadata["meaning"] for item in fields(Health)}
"""The figures and what they are."""


@dataclass(frozen=True)
class TableSize:
    """A table on disk, with its indexes; `rows` is the statistics' estimate."""

    name: str
    bytes: int
    rows: int


async def measure(connection: Connection, *, now: datetime) -> Health:
    """A look over all tables that hold work; it costs some milliseconds, more where much waits."""
    row = await queries.measure(connection, now=now, long_openings=LONG_OPENINGS)
    return Health(**row)


async def table_sizes(connection: Connection) -> list[TableSize]:
    """Every table, the largest first."""
    return [TableSize(**row) async for row in queries.sizes(connection)]
