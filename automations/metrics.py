"""What a process counts of its own work, for Prometheus.

The processes of one server (`--workers`) count together: with PROMETHEUS_MULTIPROC_DIR in their environment from the
start, prometheus-client keeps the numbers in files there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client's own name

_LAGS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_own = CollectorRegistry()

STATE_CHANGES = Counter("automations_state_changes", "State changes evaluated", registry=_own)
FIRINGS = Counter("automations_firings", "Firings, by type of event", ["event_type"], registry=_own)
EVALUATION_LAG = Histogram(
    "automations_evaluation_lag_seconds",
    "From the commit of a state change to its evaluation: the oldest of each batch",
    buckets=_LAGS,
    registry=_own,
)
DELIVERY_LAG = Histogram(
    "automations_delivery_lag_seconds",
    "From a firing to the begin of the first attempt of a delivery",
    buckets=_LAGS,
    registry=_own,
)
ATTEMPTS = Counter(
    "automations_attempts",
    "Attempts by type of action, outcome (DELIVERED, RETRY, FAILED) and class of answer (2xx to 5xx, none)",
    ["action_type", "outcome", "answer"],
    registry=_own,
)
ATTEMPT_SECONDS = Histogram(
    "automations_attempt_seconds", "How long attempts took", ["action_type"], buckets=_LAGS[:-1], registry=_own
)
LOOP_DELAY = Histogram(
    "automations_loop_delay_seconds", "How late the event loop ran what was due", buckets=_LAGS[:-2], registry=_own
)
CONNECTIONS = Gauge(
    "automations_connections_in_use", "Pooled connections in use", registry=_own, multiprocess_mode="livesum"
)


def counted() -> CollectorRegistry:
    """What this process counted, or all processes of its server did."""
    if SHARED_FOLDER not in os.environ:
        return _own
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return shared


@contextmanager
def counting_together() -> Iterator[None]:
    """Processes that are started meanwhile count together."""
    with TemporaryDirectory(prefix="automations-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[SHARED_FOLDER]
