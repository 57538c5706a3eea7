"""A run fails and people hear of it: the whole way, on a real server, database and receiver."""

import orjson

from tests.canaries import CANARY
from tests.harness import Automations
from tests.receivers import Receiver, reply


async def test_failed_run_reaches_slack_with_its_reason_escaped(server: Automations) -> None:
    async with Receiver(reply(200, b"ok")) as slack:
        await server.write("set_secret", "success", name="SLACK", value=f"{slack.url}/services/T/B/{CANARY}")
        await server.automation({"slack_notification": {"webhook_url_secret": "SLACK"}}, name="Tell the data team")
        run = await server.run(await server.flow("etl"), flow_run_name="nightly")
        await server.set_state(run, "Failed", "disk <!channel> & full")

        [message] = await slack.wait_for(1)
        body = orjson.loads(message.body)
        assert message.path == f"/services/T/B/{CANARY}"
        assert "Run nightly of flow etl entered state Failed" in body["text"]
        assert "disk &lt;!channel&gt; &amp; full" in body["text"]
        assert "Tell the data team" in orjson.dumps(body["blocks"]).decode()

        [delivery] = await server.settled(1)
        assert delivery["status"] == "DELIVERED"


async def test_ledger_shows_firing_delivery_and_attempt(server: Automations) -> None:
    async with Receiver(reply(200, b"thanks")) as receiver:
        automation = await server.automation({"webhook": {"url": receiver.url, "payload": {"run": "{flow_run_name}"}}})
        run = await server.run(await server.flow(), flow_run_name="nightly")
        await server.set_state(run, "TimedOut", "took too long")
        await receiver.wait_for(1)
        await server.settled(1)

        data = await server.execute(
            """{ firing { automation_id flow_run_id event is_test
                   automation { name } flow_run { name }
                   deliveries { status status_code attempts { number outcome request answer } } } }"""
        )
        [firing] = data["firing"]
        assert firing["automation_id"] == automation
        assert firing["flow_run_id"] == run
        assert firing["event"]["state"] == "TimedOut"
        assert firing["event"]["state_message"] == "took too long"
        assert firing["automation"] == {"name": "tell"}
        assert firing["flow_run"] == {"name": "nightly"}
        [delivery] = firing["deliveries"]
        assert (delivery["status"], delivery["status_code"]) == ("DELIVERED", 200)
        [attempt] = delivery["attempts"]
        assert (attempt["number"], attempt["outcome"], attempt["answer"]) == (1, "DELIVERED", "thanks")
        assert attempt["request"]["body"] == {"run": "nightly"}


async def test_cancel_action_cancels_the_run_that_fired(server: Automations) -> None:
    await server.automation(
        {"cancel_flow_run": {"message": "{flow_run_name} must not run"}},
        event={"flow_run_state_changed": {"states": ["running"]}},
    )
    run = await server.run(await server.flow(), flow_run_name="rogue")
    await server.set_state(run, "Running")
    await server.settled(1)
    data = await server.execute(f'{{ flow_run_by_pk(id: "{run}") {{ state state_message }} }}')
    assert data["flow_run_by_pk"] == {"state": "Cancelling", "state_message": "rogue must not run"}


async def test_chain_of_automations_stops_at_its_depth(server: Automations) -> None:
    """Cancelling is itself a state change that fires: the second firing knows that the first caused it."""
    await server.automation({"cancel_flow_run": {}}, event={"flow_run_state_changed": {"state_group": "ALL"}})
    run = await server.run(await server.flow())
    await server.settled(2)
    data = await server.execute("{ firing(order_by: {created: asc}) { depth event } }")
    assert [(row["event"]["state"], row["depth"]) for row in data["firing"]] == [("Scheduled", 0), ("Cancelled", 1)]
    assert (await server.execute(f'{{ flow_run_by_pk(id: "{run}") {{ state }} }}'))["flow_run_by_pk"][
        "state"
    ] == "Cancelled"
