"""What is wrong with the server fires once, and again only after it was over; each tenant hears of its own."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from automations.actions.slack import SlackNotification
from automations.actions.webhook import Webhook
from automations.database import Database, DedicatedConnection
from automations.definitions.actions import create_action
from automations.definitions.automations import create_automation, delete_automation, update_automation
from automations.definitions.triggers import parse_trigger
from automations.engine.problems import OVER_SECONDS, judge_problems
from automations.health import LATE_SECONDS, LONG_OPENINGS, PROBLEMS, measure
from automations.orchestration.tenants import create_tenant
from tests.engine.watched import Watched

NOW = datetime.now(UTC).replace(microsecond=0)


def after(seconds: float) -> datetime:
    """So many seconds after the test began."""
    return NOW + timedelta(seconds=seconds)


@dataclass
class Server:
    """A server with tenants and their things, and somebody who looks at it."""

    connection: DedicatedConnection
    tenant_id: UUID

    def of(self, tenant_id: UUID) -> "Server":
        """The same one as another tenant has it."""
        return Server(self.connection, tenant_id)

    async def automation(self, *problems: str) -> UUID:
        """Id of a new automation for these problems; for all where none is named."""
        fields = {"problems": list(problems)} if problems else {}
        async with self.connection.transaction():
            saved = await create_automation(
                self.connection,
                self.tenant_id,
                name="on call",
                description=None,
                enabled=True,
                trigger=parse_trigger({"server_problem": fields}),
                actions=[Webhook(url="https://hooks.example.com/")],
            )
        return saved.id

    async def change(self, automation: UUID, *, event: dict[str, Any] | None = None, **changes: Any) -> None:
        async with self.connection.transaction():
            await update_automation(
                self.connection,
                self.tenant_id,
                automation,
                changes=changes,
                trigger=None if event is None else parse_trigger(event),
                actions=None,
            )

    async def action_with_secret(self, secret: str = "SLACK") -> UUID:
        """Id of a new action that uses this secret, which is not set."""
        async with self.connection.transaction():
            return await create_action(
                self.connection,
                self.tenant_id,
                SlackNotification(webhook_url_secret=secret),
                name="tell the team",
                inline=False,
            )

    async def set_secret(self, name: str = "SLACK") -> None:
        await self.connection.execute(
            "INSERT INTO automations.secret (tenant_id, name, sealed) VALUES ($1, $2, '')", self.tenant_id, name
        )

    async def delete_secret(self, name: str = "SLACK") -> None:
        await self.connection.execute(
            "DELETE FROM automations.secret WHERE tenant_id = $1 AND name = $2", self.tenant_id, name
        )

    async def pause(self, action: UUID, at: datetime) -> None:
        """An action's receiver is gone since then."""
        await self.connection.execute(
            "UPDATE automations.action SET paused_at = $3, paused_reason = 'The receiver answered 410' "
            "WHERE tenant_id = $1 AND id = $2",
            self.tenant_id,
            action,
            at,
        )

    async def fail(self, destination: str, *, openings: int) -> None:
        """The circuit of a destination has opened so often; 0: it works again."""
        await self.connection.execute(
            "INSERT INTO automations.destination (tenant_id, name, openings, open_until, reason) "
            "VALUES ($1, $2, $3, CASE WHEN $3 > 0 THEN now() END, 'It answered 503') ON CONFLICT (tenant_id, name) "
            "DO UPDATE SET openings = excluded.openings, open_until = excluded.open_until",
            self.tenant_id,
            destination,
            openings,
        )

    async def change_waits(self, since: datetime | None) -> None:
        """A state change waits to be evaluated since then; None: none does."""
        await self.connection.execute("DELETE FROM automations.state_change")
        if since is not None:
            await self.connection.execute(
                "INSERT INTO automations.state_change (flow_run_id, flow_run_state_id, state, captured_at) "
                "VALUES (gen_random_uuid(), gen_random_uuid(), 'failed', $1)",
                since,
            )

    async def look(self, seconds: float = 0) -> int:
        """Look so many seconds after the test began; how many deliveries are owed."""
        now = after(seconds)
        return await judge_problems(self.connection, await measure(self.connection, now=now), now=now)

    async def events(self) -> list[dict[str, Any]]:
        """What this tenant heard, oldest first."""
        rows = await self.connection.fetch(
            "SELECT event FROM automations.firing WHERE tenant_id = $1 ORDER BY created, id", self.tenant_id
        )
        return [orjson.loads(row["event"]) for row in rows]

    async def affected(self) -> list[tuple[str, list[str]]]:
        """What this tenant heard in short."""
        return [(event["problem"], event["affected"]) for event in await self.events()]


@pytest.fixture
def server(connection: DedicatedConnection, tenant_id: UUID) -> Server:
    return Server(connection, tenant_id)


@pytest.fixture
async def neighbour(server: Server) -> Server:
    """The same server as another tenant has it."""
    return server.of(await create_tenant(server.connection, name="Neighbour", slug=None))


async def test_missing_secret_fires_once_and_again_after_it_was_set(server: Server) -> None:
    automation = await server.automation()
    await server.set_secret()
    await server.action_with_secret()
    assert await server.look() == 0
    await server.delete_secret()
    assert await server.look(5) == 1
    assert await server.look(10) == 0, "once"
    await server.set_secret()
    assert await server.look(15) == 0
    await server.delete_secret()
    assert await server.look(20) == 1, "again"
    first, second = await server.events()
    assert first["id"] != second["id"]
    firing = await server.connection.fetchrow("SELECT * FROM automations.firing ORDER BY created LIMIT 1")
    assert firing is not None
    assert (firing["automation_id"], firing["event_type"], str(firing["event_id"]), firing["flow_run_id"]) == (
        automation,
        "ServerProblemEvent",
        first["id"],
        None,
    )
    assert first == {
        "id": first["id"],
        "event_name": "ServerProblemEvent",
        "tenant_id": str(server.tenant_id),
        "tenant_slug": "default",
        "timestamp": after(5).isoformat(),
        "problem": "SECRET_MISSING",
        "problem_message": 'An action uses the secret "SLACK", which does not exist: set it, or sending fails.',
        "affected": ["SLACK"],
        "since": after(5).isoformat(),
    }


async def test_secret_that_many_actions_use_is_one_problem(server: Server) -> None:
    await server.automation()
    for _ in range(3):
        await server.action_with_secret()
    await server.action_with_secret("TEAMS")
    assert await server.look() == 2
    messages = {event["affected"][0]: event["problem_message"] for event in await server.events()}
    assert messages["SLACK"].startswith("3 actions use the secret")
    assert messages["TEAMS"].startswith("An action uses the secret")


async def test_destination_that_has_failed_for_an_hour_fires(server: Server) -> None:
    await server.automation("DESTINATION_FAILS")
    await server.fail("hooks.example.com", openings=LONG_OPENINGS - 1)
    assert await server.look() == 0, "not for an hour yet"
    await server.fail("hooks.example.com", openings=LONG_OPENINGS)
    assert await server.look() == 1
    await server.fail("hooks.example.com", openings=LONG_OPENINGS + 1)
    assert await server.look() == 0
    await server.fail("hooks.example.com", openings=0)
    assert await server.look() == 0
    await server.fail("hooks.example.com", openings=LONG_OPENINGS)
    assert await server.look(1) == 1
    [event, _] = await server.events()
    assert event["problem_message"] == (
        "The destination hooks.example.com has failed for an hour or more: It answered 503. Deliveries to it wait."
    )


async def test_alert_that_goes_to_what_fails_makes_no_further_alert(server: Server) -> None:
    """It is owed to the very destination that it is about, and waits there like others."""
    await server.automation()
    destination = await server.connection.fetchval("SELECT destination FROM automations.action")
    await server.fail(destination, openings=LONG_OPENINGS)
    assert await server.look() == 1
    for seconds in range(15, 3600, 600):
        assert await server.look(seconds) == 0
    assert await server.affected() == [("DESTINATION_FAILS", [destination])]


async def test_paused_action_fires_with_its_name_and_since_when(server: Server) -> None:
    await server.automation("ACTION_PAUSED")
    await server.pause(await server.action_with_secret(), after(-600))
    assert await server.look() == 1
    [event] = await server.events()
    assert (event["problem"], event["affected"], event["since"]) == (
        "ACTION_PAUSED",
        ["tell the team"],
        after(-600).isoformat(),
    )
    assert "The receiver answered 410" in event["problem_message"]


async def test_alert_whose_own_action_is_paused_is_suppressed_once(server: Server) -> None:
    await server.automation()
    await server.pause(await server.connection.fetchval("SELECT id FROM automations.action"), NOW)
    assert await server.look() == 1
    assert await server.look(15) == 0
    [delivery] = await Watched(server.connection, server.tenant_id).deliveries()
    assert delivery["status"] == "SUPPRESSED"
    assert await server.affected() == [("ACTION_PAUSED", ["on call"])], "an action inside an automation has its name"


async def test_late_evaluation_fires_for_every_tenant_that_waits_for_it(server: Server, neighbour: Server) -> None:
    await server.automation()
    await neighbour.automation("EVALUATION_LATE", "TIMERS_LATE")
    await server.change_waits(NOW)
    assert await server.look(LATE_SECONDS) == 0, "not late yet"
    assert await server.look(LATE_SECONDS + 1) == 2
    for tenant in (server, neighbour):
        [event] = await tenant.events()
        assert event["tenant_id"] == str(tenant.tenant_id)
        assert (event["problem"], event["affected"], event["since"]) == ("EVALUATION_LATE", [], NOW.isoformat())
        assert event["problem_message"].startswith("State changes wait to be evaluated, the oldest for 31 s.")


async def test_work_at_the_limit_does_not_fire_again_and_again(server: Server) -> None:
    await server.automation("EVALUATION_LATE")
    await server.change_waits(NOW)
    assert await server.look(LATE_SECONDS + 1) == 1
    assert await server.look(LATE_SECONDS - 1) == 0
    assert await server.look(LATE_SECONDS + 1) == 0, "it was not over"
    assert await server.look(OVER_SECONDS) == 0
    assert await server.look(LATE_SECONDS + 2) == 1, "now it was"


async def test_late_deliveries_and_timers_fire(server: Server) -> None:
    await server.automation()
    await server.connection.execute(
        "INSERT INTO automations.sla_timer (tenant_id, flow_sla_config_id, flow_run_id, version, anchored_at, due_at) "
        "VALUES ($1, gen_random_uuid(), gen_random_uuid(), 1, $2, $2)",
        server.tenant_id,
        NOW,
    )
    assert await server.look(LATE_SECONDS + 1) == 1
    assert await server.look(2 * LATE_SECONDS + 2) == 1, "the alert itself waits by now"
    assert await server.affected() == [("TIMERS_LATE", []), ("DELIVERIES_LATE", [])]
    assert await server.look(2 * LATE_SECONDS + 3) == 0


@pytest.mark.parametrize("problem", ["SECRET_MISSING", "ACTION_PAUSED", "DESTINATION_FAILS"])
async def test_tenant_does_not_hear_of_what_is_anothers(server: Server, neighbour: Server, problem: str) -> None:
    await server.automation()
    await neighbour.automation()
    match problem:
        case "SECRET_MISSING":
            await server.set_secret()
            await server.action_with_secret()
            await neighbour.set_secret()
            await server.delete_secret()
        case "ACTION_PAUSED":
            await server.set_secret()
            await server.pause(await server.action_with_secret(), NOW)
        case "DESTINATION_FAILS":
            await server.fail("hooks.example.com", openings=LONG_OPENINGS)
    assert await server.look() == 1
    assert [event["problem"] for event in await server.events()] == [problem]
    assert await neighbour.events() == []


async def test_automation_hears_of_the_problems_that_it_waits_for(server: Server) -> None:
    await server.automation("ACTION_PAUSED", "DESTINATION_FAILS")
    await server.action_with_secret()
    await server.fail("hooks.example.com", openings=LONG_OPENINGS)
    assert await server.look() == 1
    assert await server.affected() == [("DESTINATION_FAILS", ["hooks.example.com"])]


async def test_one_that_is_made_later_hears_of_the_same_event(server: Server) -> None:
    first = await server.automation()
    await server.action_with_secret()
    await server.look()
    second = await server.automation()
    assert await server.look(15) == 1
    told = await server.connection.fetch("SELECT automation_id, event_id FROM automations.firing")
    assert {row["automation_id"] for row in told} == {first, second}
    assert len({row["event_id"] for row in told}) == 1
    assert {event["since"] for event in await server.events()} == {NOW.isoformat()}


async def test_disabled_one_hears_nothing_and_is_not_told_twice(server: Server) -> None:
    automation = await server.automation()
    await server.action_with_secret()
    assert await server.look() == 1
    await server.change(automation, enabled=False)
    await server.action_with_secret("TEAMS")
    assert await server.look(15) == 0
    await server.change(automation, enabled=True)
    assert await server.look(30) == 1
    assert await server.affected() == [("SECRET_MISSING", ["SLACK"]), ("SECRET_MISSING", ["TEAMS"])]


@pytest.mark.parametrize("how", ["delete", "change"])
async def test_nothing_is_kept_of_one_that_waits_no_more(server: Server, how: str) -> None:
    automation = await server.automation()
    await server.action_with_secret()
    await server.look()
    if how == "delete":
        async with server.connection.transaction():
            await delete_automation(server.connection, server.tenant_id, automation)
    else:
        await server.change(automation, event={"flow_run_state_changed": {"state_group": "FAILED"}})
    assert await server.look(15) == 0
    assert await server.connection.fetchval("SELECT count(*) FROM automations.server_problem") == 0


async def test_who_takes_over_does_not_tell_again(server: Server, database_url: str) -> None:
    await server.automation()
    await server.action_with_secret()
    assert await server.look() == 1
    other = await Database(database_url).dedicated()
    assert await Server(other, server.tenant_id).look(15) == 0
    await other.close()


def test_name_is_made_of_the_problems() -> None:
    assert parse_trigger({"server_problem": {}}).sentence == "The server has a problem"
    some = {"problems": ["SECRET_MISSING", "TIMERS_LATE", "SECRET_MISSING"]}
    sentence = "The server has a problem: a secret is missing or timers are late"
    assert parse_trigger({"server_problem": some}).sentence == sentence


async def test_every_problem_of_the_log_can_be_waited_for(server: Server) -> None:
    """All at once: what a person reads, what an automation hears, and what can be chosen are the same."""
    await server.automation()
    await server.pause(await server.action_with_secret(), NOW)
    await server.fail("hooks.example.com", openings=LONG_OPENINGS)
    await server.change_waits(NOW)
    await server.connection.execute(
        "INSERT INTO automations.sla_timer (tenant_id, flow_sla_config_id, flow_run_id, version, anchored_at, due_at) "
        "VALUES ($1, gen_random_uuid(), gen_random_uuid(), 1, $2, $2)",
        server.tenant_id,
        NOW,
    )
    await server.look(LATE_SECONDS + 1)
    await server.look(2 * LATE_SECONDS + 2)
    assert {event["problem"] for event in await server.events()} == set(PROBLEMS)
    health = await measure(server.connection, now=after(2 * LATE_SECONDS + 2))
    assert set(health.problems) == set(PROBLEMS.values())
