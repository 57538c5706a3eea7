"""The database of each migration, with data in each table, comes to the newest, and the program goes on with it.

The two sets grew side by side. So a migration of ours is upgraded from with all of the watched tables, and one of the
watched tables with as much of ours as it bears.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import asyncpg
import orjson
import pytest

from automations import migrations
from automations.actions.webhook import Webhook
from automations.api.tables import TABLES
from automations.database import Database
from automations.events import FLOW_RUN_STATE_CHANGED, sample_event
from automations.migrations import SETS, Migration, available, migrate
from tests.harness import Automations, eventually, running
from tests.receivers import Receiver
from tests.upgrade.made_up_rows import MadeUpRows, rows

STEPS = [migration for set_name in SETS for migration in available(set_name)]


def given(url: str) -> dict[str, str]:
    """What rows hold that work: runs that fail, and automations that tell this receiver of each."""
    event = orjson.dumps(sample_event(FLOW_RUN_STATE_CHANGED)).decode().replace("'", "''")
    return {
        "action_type": f"'{Webhook.TYPE}'",
        "action_config": f"""'{{"url": "{url}"}}'""",
        "destination": f"'{Webhook(url=url).destination}'",
        "event_type": f"'{FLOW_RUN_STATE_CHANGED.name}'",
        "firing.event": f"'{event}'",
        "automation.event": """'{"states": ["Failed"]}'""",
        "flow_run_state.state": "'Failed'",
        "delivery.attempt_count": "2",
        "delivery.started_at": "now()",
        "attempt.number": "1",
        "automation_match.state": "'failed'",
        "automation_match.flow_group_id": f"'{UUID(int=0)}'",
        "automation_match.project_id": f"'{UUID(int=0)}'",
    }


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.set_name}_{step.version:04d}")
async def test_database_of_each_migration_comes_to_the_newest(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: Migration
) -> None:
    connection = await Database(empty_database_url).dedicated()
    async with Receiver() as receiver:
        with monkeypatch.context() as then:
            then.setattr(migrations, "available", lambda name: _until(step, name))
            with suppress(asyncpg.UndefinedTableError):  # one of ours needs newer watched tables
                await migrate(connection)
        made_up = MadeUpRows(connection, given(receiver.url))
        await made_up.fill()
        before = await rows(connection)

        await migrate(connection)

        after = await rows(connection)
        assert {name: lost for name in before.keys() & after.keys() if (lost := before[name] - after[name])} == {}
        await connection.close()
        async with running(empty_database_url, tmp_path) as server:
            await _show_tables(server, [name for name, keys in before.items() if keys])
            await _say_what_is_owed(server, made_up)
            assert (await server.client.get(f"{server.url}/readyz")).status_code == 200


def _until(step: Migration, set_name: str) -> Iterator[Migration]:
    for migration in available(set_name):
        if migration.set_name != step.set_name or migration.version <= step.version:
            yield migration


async def _show_tables(server: Automations, filled: Sequence[str]) -> None:
    """All tables are read with all their columns, and show something where there was something."""
    fields = [f"{table.name}(limit: 9) {{ {' '.join(column.name for column in table.columns)} }}" for table in TABLES]
    shown = await server.execute(f"{{ {' '.join(fields)} }}")
    assert [table.name for table in TABLES if table.source in filled and not shown[table.name]] == []


async def _say_what_is_owed(server: Automations, made_up: MadeUpRows) -> None:
    """What was owed before is sent; and of a new run of an old flow, the old automation tells."""
    run = await server.run(made_up.ids["flow"][0])
    await server.set_state(run, "Failed")
    automation, owed = made_up.ids["automation"][0], made_up.ids.get("delivery", [])[:1]

    async def is_told() -> bool:
        rows = await server.deliveries("id status automation_id firing { flow_run_id }")
        told = {row["id"] for row in rows if row["status"] == "DELIVERED"}
        of_the_run = {row["id"] for row in rows if (row["firing"] or {}).get("flow_run_id") == run}
        return told.issuperset(owed) and any(
            row["id"] in told & of_the_run and row["automation_id"] == automation for row in rows
        )

    await eventually(is_told)
