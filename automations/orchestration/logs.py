"""What runs log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from automations.database import Connection, load_queries
from automations.errors import InvalidInput, NotFound

queries = load_queries("task")

LINES_PER_CALL = 20_000


@dataclass(frozen=True)
class Line:
    """A line of a flow run, or of one of its task runs; `timestamp` is now by default."""

    flow_run_id: UUID | None
    task_run_id: UUID | None = None
    timestamp: datetime | None = None
    name: str | None = None
    level: str | None = None
    message: str | None = None
    info: Any = None


async def write_logs(connection: Connection, tenant_id: UUID, lines: Sequence[Line]) -> None:
    """Write lines in one statement; those of runs that are gone are dropped, and NotFound is raised where all are."""
    if len(lines) > LINES_PER_CALL:
        raise InvalidInput(f"logs takes {LINES_PER_CALL} lines at most; {len(lines)} were given.")
    now = datetime.now(UTC)
    written = await queries.write_logs(
        connection,
        tenant_id=tenant_id,
        flow_run_ids=[line.flow_run_id for line in lines],
        task_run_ids=[line.task_run_id for line in lines],
        timestamps=[line.timestamp or now for line in lines],
        names=[_clean(line.name) for line in lines],
        levels=[_clean(line.level) for line in lines],
        messages=[_clean(line.message) for line in lines],
        infos=[None if line.info is None else orjson.dumps(line.info).decode() for line in lines],
    )
    if lines and not written:
        raise NotFound("There is none of the runs that these lines are of.")


def _clean(text: str | None) -> str | None:
    """The text without what PostgreSQL cannot hold: a client whose lines are refused sends them again for ever."""
    return None if text is None else text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
