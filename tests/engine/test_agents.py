"""Groups of agents that go quiet fire once, and again only after they were up."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from automations.actions.webhook import Webhook
from automations.database import DedicatedConnection
from automations.definitions.automations import create_automation, delete_automation, update_automation
from automations.definitions.triggers import parse_trigger
from automations.engine.agents import LONGEST_GAP, judge_groups
from tests.engine.watched import Watched

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEP = LONGEST_GAP.total_seconds()


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


@dataclass
class Groups:
    """Agents that speak at times of the test's own, and somebody who looks at them all the time, from noon on."""

    watched: Watched
    seen_until: float = 0

    @property
    def connection(self) -> DedicatedConnection:
        return self.watched.connection

    async def config(self) -> UUID:
        """Id of a new agent config."""
        return UUID(
            str(
                await self.connection.fetchval(
                    "INSERT INTO agent_config (tenant_id) VALUES ($1) RETURNING id", self.watched.tenant_id
                )
            )
        )

    async def agent(self, config: UUID, queried: float | None = 0, *, registered: float = 0) -> UUID:
        """Id of a new agent that was heard of then."""
        return UUID(
            str(
                await self.connection.fetchval(
                    "INSERT INTO agent (tenant_id, agent_config_id, name, created, last_queried)"
                    " VALUES ($1, $2, gen_random_uuid(), $3, $4) RETURNING id",
                    self.watched.tenant_id,
                    config,
                    at(registered),
                    None if queried is None else at(queried),
                )
            )
        )

    async def query(self, agent: UUID, when: float) -> None:
        """An agent asks for work."""
        await self.connection.execute("UPDATE agent SET last_queried = $2 WHERE id = $1", agent, at(when))

    async def watch(self, *configs: UUID, **fields: Any) -> UUID:
        """Id of a new automation for these groups."""
        async with self.connection.transaction():
            saved = await create_automation(
                self.connection,
                self.watched.tenant_id,
                name="quiet",
                description=None,
                enabled=True,
                trigger=parse_trigger({"agent_sla_failed": {"agent_config_ids": configs, **fields}}),
                actions=[Webhook(url="https://hooks.example.com/")],
            )
        return saved.id

    async def change(self, automation: UUID, fields: dict[str, Any] | None = None, **changes: Any) -> None:
        async with self.connection.transaction():
            await update_automation(
                self.connection,
                self.watched.tenant_id,
                automation,
                changes=changes,
                trigger=None if fields is None else parse_trigger({"agent_sla_failed": fields}),
                actions=None,
            )

    async def look(self, when: float, *, after_a_gap: bool = False) -> int:
        """Look, and unless there was a gap without anybody who looked, at every step until then; what is owed."""
        owed = 0
        if not after_a_gap:
            while self.seen_until + STEP < when:
                self.seen_until += STEP
                owed += await judge_groups(self.connection, now=at(self.seen_until), max_depth=8)
        self.seen_until = when
        return owed + await judge_groups(self.connection, now=at(when), max_depth=8)

    async def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(firing["event"]) for firing in await self.watched.firings()]


@pytest.fixture
async def groups(watched: Watched) -> Groups:
    groups = Groups(watched)
    await groups.look(0)
    return groups


async def test_group_fires_when_its_last_agent_goes_quiet_and_again_after_it_was_up(groups: Groups) -> None:
    config = await groups.config()
    first, second = await groups.agent(config), await groups.agent(config, 30)
    automation = await groups.watch(config)
    assert await groups.look(60) == 0, "one of two is healthy"
    assert await groups.look(89) == 0
    assert await groups.look(90) == 1
    assert await groups.look(300) == 0, "once"
    await groups.query(second, 300)
    assert await groups.look(301) == 0
    assert await groups.look(360) == 1, "again"
    before, after = await groups.watched.firings()
    assert before["event_id"] != after["event_id"]
    assert {before["automation_id"], after["automation_id"]} == {automation}
    [event, _] = await groups.events()
    agents = sorted([str(first), str(second)])
    assert event == {
        "id": str(before["event_id"]),
        "event_name": "AgentSLAFailedEvent",
        "tenant_id": str(groups.watched.tenant_id),
        "tenant_slug": "default",
        "timestamp": at(90).isoformat(),
        "healthy_agent_ids": [],
        "unhealthy_agent_ids": agents,
        "agent_ids": agents,
        "sla_min_healthy": 1,
        "agent_config_id": str(config),
        "agent_config_name": None,
    }


async def test_fewer_than_the_minimum_is_down(groups: Groups) -> None:
    config = await groups.config()
    quiet, lively = await groups.agent(config), await groups.agent(config)
    await groups.watch(config, min_healthy=2, unhealthy_after_seconds=20)
    for second in (10, 20, 30):
        await groups.query(lively, second)
        await groups.look(second)
    [event] = await groups.events()
    assert (event["healthy_agent_ids"], event["unhealthy_agent_ids"]) == ([str(lively)], [str(quiet)])


async def test_groups_of_one_automation_are_judged_each_by_itself(groups: Groups) -> None:
    quiet, lively = await groups.config(), await groups.config()
    await groups.agent(quiet)
    await groups.agent(lively, 50)
    await groups.watch(quiet, lively)
    assert await groups.look(60) == 1
    assert [event["agent_config_id"] for event in await groups.events()] == [str(quiet)]
    assert await groups.look(110) == 1


async def test_group_without_agents_is_not_unhealthy(groups: Groups) -> None:
    await groups.watch(await groups.config())
    assert await groups.look(300) == 0


async def test_agent_that_has_only_registered_has_its_time(groups: Groups) -> None:
    config = await groups.config()
    await groups.agent(config, None, registered=100)
    await groups.watch(config)
    assert await groups.look(159) == 0
    assert await groups.look(160) == 1


@pytest.mark.parametrize("table", ["agent", "agent_config"])
async def test_deleted_agents_and_configs_go_quietly_and_arm_the_group_again(groups: Groups, table: str) -> None:
    config = await groups.config()
    await groups.agent(config)
    await groups.watch(config)
    assert await groups.look(60) == 1
    await groups.connection.execute(f"DELETE FROM {table}")
    assert await groups.look(120) == 0
    assert await groups.connection.fetchval("SELECT down_since FROM automations.agent_group_health") is None


async def test_silence_while_nobody_listened_is_not_held_against_agents(groups: Groups) -> None:
    """A server that was down hears of nobody; those who are silent still are found after their time."""
    config = await groups.config()
    agent = await groups.agent(config)
    await groups.watch(config)
    assert await groups.look(1000, after_a_gap=True) == 0
    assert await groups.look(1059) == 0
    await groups.query(agent, 1059)
    assert await groups.look(1118) == 0
    assert await groups.look(1119) == 1


async def test_restart_does_not_fire_again_for_a_group_that_is_still_down(groups: Groups) -> None:
    config = await groups.config()
    await groups.agent(config)
    await groups.watch(config)
    assert await groups.look(60) == 1
    assert await groups.look(1000, after_a_gap=True) == 0
    assert await groups.look(2000) == 0


async def test_clock_that_jumps_fires_nothing(groups: Groups) -> None:
    config = await groups.config()
    await groups.agent(config)
    await groups.watch(config)
    assert await groups.look(86_400, after_a_gap=True) == 0
    assert await groups.look(1, after_a_gap=True) == 0


async def test_saving_the_automation_again_keeps_what_is_known_of_its_groups(groups: Groups) -> None:
    config, other = await groups.config(), await groups.config()
    await groups.agent(config)
    await groups.agent(other)
    automation = await groups.watch(config)
    assert await groups.look(60) == 1
    await groups.change(automation, {"agent_config_ids": [config, other], "min_healthy": 1}, name="renamed")
    assert await groups.look(61) == 1, "the other one is new"
    await groups.change(automation, enabled=False)
    await groups.change(automation, enabled=True)
    assert await groups.look(62) == 2, "enabled again, it says what is wrong now"


async def test_deleted_automation_watches_nothing(groups: Groups) -> None:
    config = await groups.config()
    await groups.agent(config)
    automation = await groups.watch(config)
    async with groups.connection.transaction():
        await delete_automation(groups.connection, groups.watched.tenant_id, automation)
    assert await groups.look(60) == 0
    assert await groups.connection.fetchval("SELECT count(*) FROM automations.agent_group_health") == 0


async def test_event_changed_to_another_kind_leaves_no_group_behind(groups: Groups) -> None:
    config = await groups.config()
    await groups.agent(config)
    automation = await groups.watch(config)
    async with groups.connection.transaction():
        await update_automation(
            groups.connection,
            groups.watched.tenant_id,
            automation,
            changes={},
            trigger=parse_trigger({"flow_run_state_changed": {"state_group": "FAILED"}}),
            actions=None,
        )
    assert await groups.look(60) == 0
    run = await groups.watched.run(await groups.watched.flow())
    await groups.watched.enter(run, "Failed")
    assert await groups.watched.evaluate() == (1, 1, 1)
