"""An action with several receivers owes each a delivery, and one that keeps an order says so of each."""

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from automations.actions.contract import Action
from automations.actions.webhook import Webhook
from automations.definitions.automations import create_automation
from automations.definitions.triggers import parse_trigger
from tests.engine.watched import Watched


class ToThree(Webhook):
    """Tells three people."""

    @property
    def targets(self) -> Sequence[str | None]:
        return ("ann", "bob", "cem")


class InOrder(Webhook):
    """Tells one thing after the other."""

    ORDERED: ClassVar = True


async def automation(watched: Watched, *actions: Action) -> UUID:
    async with watched.connection.transaction():
        saved = await create_automation(
            watched.connection,
            watched.tenant_id,
            name="tell",
            description=None,
            enabled=True,
            trigger=parse_trigger({"flow_run_state_changed": {"state_group": "ALL"}}),
            actions=actions,
        )
    return saved.id


async def test_each_receiver_of_an_action_is_owed_a_delivery(watched: Watched) -> None:
    await automation(watched, ToThree("https://a.example.com"), Webhook("https://b.example.com"))
    await watched.enter(await watched.run(await watched.flow()))
    assert await watched.evaluate() == (1, 1, 4)
    deliveries = await watched.deliveries()
    assert sorted(row["target"] or "" for row in deliveries) == ["", "ann", "bob", "cem"]
    assert len({row["id"] for row in deliveries}) == 4
    assert len({(row["action_id"], row["firing_id"]) for row in deliveries if row["target"]}) == 1


async def test_subject_is_the_automation_and_its_run(watched: Watched) -> None:
    first = await automation(watched, InOrder("https://a.example.com"))
    second = await automation(watched, Webhook("https://a.example.com"))
    flow = await watched.flow()
    runs = [await watched.run(flow) for _ in range(2)]
    for run in (*runs, *runs):
        await watched.enter(run)
    await watched.evaluate()
    deliveries = await watched.deliveries()
    assert {row["subject"] for row in deliveries} == {f"{a}/{run}" for a in (first, second) for run in runs}
    assert {row["is_ordered"] for row in deliveries if row["automation_id"] == first} == {True}
    assert {row["is_ordered"] for row in deliveries if row["automation_id"] == second} == {False}


async def test_deliveries_about_one_run_have_ids_in_the_order_in_which_it_happened(watched: Watched) -> None:
    await automation(watched, InOrder("https://a.example.com"))
    run = await watched.run(await watched.flow())
    states = [await watched.enter(run, state) for state in ("Scheduled", "Running", "Failed")]
    for _ in states:
        await watched.evaluate(batch=1)
    rows = await watched.connection.fetch(
        "SELECT firing.event_id FROM automations.delivery"
        " JOIN automations.firing ON firing.id = delivery.firing_id ORDER BY delivery.id"
    )
    assert [row["event_id"] for row in rows] == states


async def test_chain_that_is_too_long_is_suppressed_for_every_receiver(watched: Watched) -> None:
    await automation(watched, ToThree("https://a.example.com"))
    await watched.enter(await watched.run(await watched.flow()))
    await watched.evaluate(max_depth=-1)
    assert [row["status"] for row in await watched.deliveries()] == ["SUPPRESSED"] * 3


async def test_action_that_is_paused_is_owed_nothing_more_and_says_why(watched: Watched) -> None:
    await automation(watched, Webhook("https://a.example.com"))
    await watched.connection.execute(
        "UPDATE automations.action SET paused_at = '2026-01-02 03:04:05Z', paused_reason = 'The receiver is gone'"
    )
    await watched.enter(await watched.run(await watched.flow()))
    await watched.evaluate()
    [delivery] = await watched.deliveries()
    assert (delivery["status"], delivery["reason"]) == (
        "SUPPRESSED",
        "The action is paused since 2026-01-02T03:04:05Z: The receiver is gone. Change its config to resume it.",
    )
