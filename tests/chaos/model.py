"""What must be true in the end, whatever happened meanwhile: the database against the receiver and the callers."""

from datetime import timedelta

from automations.database import DedicatedConnection
from tests.chaos.inbox import Inbox
from tests.chaos.load import SLA_SECONDS, Load


async def violations(connection: DedicatedConnection, load: Load, inbox: Inbox) -> list[str]:
    """Each thing that is not as it must be, in a sentence; none where all is well."""
    return [
        *await _lost_changes(connection, load),
        *await _wrong_firings(connection, load),
        *await _wrong_deliveries(connection, inbox),
        *await _wrong_late_runs(connection, load),
        *await _wrong_agents(connection, load),
    ]


async def unsettled(connection: DedicatedConnection) -> int:
    """How much is on its way still."""
    return int(
        await connection.fetchval(
            "SELECT (SELECT count(*) FROM automations.state_change) + "
            "(SELECT count(*) FROM automations.delivery WHERE status IN ('PENDING', 'SENDING'))"
        )
    )


async def _lost_changes(connection: DedicatedConnection, load: Load) -> list[str]:
    """What was acknowledged was committed."""
    rows = await connection.fetch("SELECT DISTINCT message FROM public.flow_run_state WHERE message ~ '^[0-9]+$'")
    committed = {int(row["message"]) for row in rows}
    return [f"change {number} was acknowledged and is not there" for number in load.acknowledged - committed]


async def _wrong_firings(connection: DedicatedConnection, load: Load) -> list[str]:
    """Each committed failure fired once, nothing else did, and each firing owes one delivery."""
    rows = await connection.fetch(
        """
        SELECT coalesce(state.id, firing.event_id) AS id, count(firing.id) AS firings
        FROM (SELECT id FROM public.flow_run_state WHERE state = 'Failed') AS state
        FULL JOIN (SELECT id, event_id FROM automations.firing WHERE automation_id = $1) AS firing
            ON firing.event_id = state.id
        GROUP BY 1 HAVING count(firing.id) <> 1 OR bool_or(state.id IS NULL)
        """,
        load.automations["failed"],
    )
    owing = await connection.fetch(
        """
        SELECT firing.id, count(delivery.id) AS deliveries
        FROM automations.firing LEFT JOIN automations.delivery ON delivery.firing_id = firing.id
        GROUP BY 1 HAVING count(delivery.id) <> 1
        """
    )
    return [
        *(f"state {row['id']} fired {row['firings']} times" for row in rows),
        *(f"firing {row['id']} owes {row['deliveries']} deliveries" for row in owing),
    ]


async def _wrong_deliveries(connection: DedicatedConnection, inbox: Inbox) -> list[str]:
    """Each was delivered, and repeated only where nobody could know that it had been taken."""
    rows = await connection.fetch(
        "SELECT id, status, attempt_count, may_have_arrived, reason FROM automations.delivery"
    )
    found = []
    for row in rows:
        delivery_id = str(row["id"])
        arrived, taken = inbox.arrived.pop(delivery_id, 0), inbox.taken.pop(delivery_id, 0)
        if row["status"] != "DELIVERED":
            found.append(f"delivery {delivery_id} is {row['status']}: {row['reason']}")
        elif not taken:
            found.append(f"delivery {delivery_id} is said to be delivered, and was not")
        if taken > 1 and not row["may_have_arrived"]:
            found.append(f"delivery {delivery_id} was taken {taken} times for no reason")
        if arrived > row["attempt_count"]:
            found.append(f"delivery {delivery_id} arrived {arrived} times in {row['attempt_count']} attempts")
    return [*found, *(f"{delivery_id} arrived and was never owed" for delivery_id in inbox.arrived)]


async def _wrong_late_runs(connection: DedicatedConnection, load: Load) -> list[str]:
    """A run that never ended fired once, one that ended in time did not; in between it depends on who looked when."""
    rows = await connection.fetch(
        """
        SELECT run.id, run.state, run.end_time - run.start_time AS took,
            (SELECT count(*) FROM automations.firing WHERE automation_id = $2 AND flow_run_id = run.id) AS firings
        FROM public.flow_run AS run WHERE run.flow_id = $1 AND run.start_time IS NOT NULL
        """,
        load.slow_flow,
        load.automations["late"],
    )
    in_time = timedelta(seconds=SLA_SECONDS)
    found = []
    for row in rows:
        if row["state"] == "Running":
            least, most = 1, 1
        elif row["took"] < in_time:
            least, most = 0, 0
        else:
            least, most = 0, 1
        if not least <= row["firings"] <= most:
            found.append(
                f"run {row['id']} ({row['state']}, took {row['took']}) fired {row['firings']} times for being late"
            )
    return found


async def _wrong_agents(connection: DedicatedConnection, load: Load) -> list[str]:
    """The group that went quiet fired once, the steady one never."""
    found = []
    for name, expected in (("quiet", 1), ("steady", 0)):
        firings = await connection.fetchval(
            "SELECT count(*) FROM automations.firing WHERE automation_id = $1", load.automations[name]
        )
        if firings != expected:
            found.append(f"the {name} agents fired {firings} times")
    return found
