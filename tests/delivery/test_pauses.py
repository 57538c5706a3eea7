"""A receiver that says it is gone for good (410) pauses its action, which says so until its config is changed."""

from uuid import UUID

from automations.actions.webhook import Webhook
from automations.definitions.actions import update_action
from tests.delivery.ledger import Ledger, dispatching
from tests.harness import Automations
from tests.receivers import Hold, Receiver, reply


async def test_gone_for_good_pauses_the_action_and_what_it_still_owes(ledger: Ledger, database_url: str) -> None:
    async with Receiver(reply(410)) as receiver:
        await ledger.owe(receiver.url, 20)
        async with dispatching(database_url, concurrency=1):
            await ledger.wait_for("SUPPRESSED", 19)
        assert len(receiver.requests) == 1
    paused_reason = await ledger.connection.fetchval("SELECT paused_reason FROM automations.action")
    assert paused_reason == "The receiver answered 410: it is gone for good"
    assert (await ledger.count("FAILED"), await ledger.count("PENDING")) == (1, 0)
    reasons = await ledger.connection.fetch(
        "SELECT DISTINCT reason FROM automations.delivery WHERE status = 'SUPPRESSED'"
    )
    [[reason]] = [list(row.values()) for row in reasons]
    assert "is paused since" in reason
    assert "answered 410" in reason


async def test_other_actions_of_the_same_destination_go_on(ledger: Ledger, database_url: str) -> None:
    async with Receiver(reply(410)) as receiver:
        await ledger.owe(receiver.url)
        [later] = await ledger.owe(f"{receiver.url}/other", in_seconds=3600)
        async with dispatching(database_url):
            await ledger.wait_for("FAILED")
    assert (await ledger.delivery(later))["status"] == "PENDING"
    assert await ledger.connection.fetchval("SELECT count(*) FROM automations.action WHERE paused_at IS NULL") == 1


async def test_config_that_was_changed_meanwhile_is_not_paused(ledger: Ledger, database_url: str) -> None:
    hold = Hold(then=reply(410))
    async with Receiver(hold) as receiver:
        [owed] = await ledger.owe(receiver.url)
        action_id: UUID = (await ledger.delivery(owed))["action_id"]
        async with dispatching(database_url):
            await receiver.wait_for(1)
            async with ledger.connection.transaction():
                mended = Webhook(f"{receiver.url}/new")
                await update_action(ledger.connection, ledger.tenant_id, action_id, action=mended, name=None)
            hold.release()
            await ledger.wait_for("FAILED")
    assert await ledger.connection.fetchval("SELECT paused_at FROM automations.action") is None


async def test_pause_is_shown_and_a_new_config_resumes(server: Automations) -> None:
    async with Receiver(reply(410)) as receiver:
        action = (await server.write("create_action", config={"webhook": {"url": receiver.url}}))["id"]
        await server.automation({"action_id": action}, event={"flow_run_state_changed": {"state_group": "ALL"}})
        run = await server.run(await server.flow())
        await server.settled(1)
        await server.set_state(run, "Running")
        sent, suppressed = await server.settled(2)
        assert (sent["status"], suppressed["status"]) == ("FAILED", "SUPPRESSED")
        assert "paused" in suppressed["reason"]

        asked = "{ automation { actions { problems paused_reason } } action { problems paused_at paused_reason } }"
        data = await server.execute(asked)
        [problem] = data["action"][0]["problems"]
        assert "answered 410" in problem
        assert "Change its config" in problem
        assert data["automation"][0]["actions"] == [
            {"problems": [problem], "paused_reason": "The receiver answered 410: it is gone for good"}
        ]

        receiver.behaviour = reply(200)
        await server.write("update_action", action_id=action, name="renamed")
        assert (await server.execute(asked))["action"][0]["problems"], "a new name does not resume it"
        await server.write("update_action", action_id=action, config={"webhook": {"url": receiver.url}})
        assert (await server.execute(asked))["action"] == [{"problems": [], "paused_at": None, "paused_reason": None}]
        await server.set_state(run, "Failed")
        assert [row["status"] for row in await server.settled(3)] == ["FAILED", "SUPPRESSED", "DELIVERED"]
