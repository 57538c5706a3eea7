"""The flows that the fleet runs, and how their runs end (declarations only)."""

from collections.abc import Sequence
from dataclasses import dataclass

from automations.demo.rules import HANGING_FLOW, ROGUE_FLOW

OUTAGE_FLOW = "warehouse-load"


@dataclass(frozen=True)
class Ending:
    """The state that a run ends in, and why."""

    state: str
    message: str


OUTAGE = Ending("Failed", "OperationalError: could not connect to server: warehouse.internal:5432")

_FINE = Ending("Success", "All reference tasks succeeded.")


@dataclass(frozen=True)
class Flow:
    """A flow. Its runs carry `label`, and end in each of `endings` in turn; without any something has to happen."""

    name: str
    label: str
    endings: Sequence[Ending] = ()


# Outside the plan: runs of these are made when the story needs them.
OUTAGE_VICTIM = Flow(OUTAGE_FLOW, "prod")
ROGUE = Flow(ROGUE_FLOW, "gpu")
HANGING = Flow(HANGING_FLOW, "prod", [_FINE])

PLANNED = (
    Flow("nightly-etl", "prod", [_FINE, Ending("Failed", "KeyError: 'customer_id'"), _FINE]),
    Flow(
        "invoices", "prod", [_FINE, _FINE, Ending("Failed", "HTTPError: 503 from https://billing.example/v1/invoices")]
    ),
    Flow("ml-training", "gpu", [Ending("TimedOut", "Execution timed out after 3600 seconds."), _FINE]),
    Flow(
        "dbt-hourly",
        "prod",
        [_FINE, _FINE, _FINE, Ending("Failed", "2 of 41 models failed: <stg_orders>, <dim_users>")],
    ),
    Flow("weekly-report", "prod", [_FINE, Ending("Failed", "OSError: [Errno 28] No space left on device")]),
    ROGUE,
)
FLOWS = (*PLANNED, OUTAGE_VICTIM, HANGING)
