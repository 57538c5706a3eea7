"""Notifications of a whole server: settings reach the clients, and every receiver gets a delivery of its own."""

from pathlib import Path

import orjson

from tests.api.firing import run_enters
from tests.harness import running
from tests.providers.pagerduty import ROUTING_KEY, PagerDuty
from tests.providers.smtp import SmtpServer
from tests.receivers import Receiver


async def test_each_address_gets_a_delivery_of_its_own(database_url: str, tmp_path: Path) -> None:
    async with SmtpServer() as smtp:
        settings = {"smtp_host": "127.0.0.1", "smtp_port": smtp.port, "smtp_tls": "none", "smtp_from": "a@example.com"}
        async with running(database_url, tmp_path, **settings) as server:
            await server.automation({"email_notification": {"to_emails": ["x@example.com", "y@example.com"]}})
            await run_enters(server, await server.flow(), "Failed")
            sent = await server.settled(2)
        assert [row["status"] for row in sent] == ["DELIVERED"] * 2
        assert sorted(mailed.recipients for mailed in smtp.mailed) == [["x@example.com"], ["y@example.com"]]


async def test_mail_without_a_mail_server_fails_with_what_to_set(database_url: str, tmp_path: Path) -> None:
    async with running(database_url, tmp_path) as server:
        await server.automation({"email_notification": {"to_emails": ["x@example.com"]}})
        await run_enters(server, await server.flow(), "Failed")
        [sent] = await server.settled(1)
    assert sent["status"] == "FAILED"
    assert "AUTOMATIONS_SMTP_HOST" in sent["reason"]


async def test_alerts_about_one_run_are_one_at_the_operators_pagerduty(database_url: str, tmp_path: Path) -> None:
    async with Receiver(played := PagerDuty()) as receiver:
        async with running(database_url, tmp_path, pagerduty_url=receiver.url) as server:
            await server.automation(
                {"pagerduty_notification": {"routing_key": ROUTING_KEY, "severity": "ERROR", "api_token_secret": None}},
                event={"flow_run_state_changed": {"state_group": "ALL"}},
            )
            run = await server.run(await server.flow())
            for count, state in enumerate(("Running", "Failed"), start=1):
                await server.settled(count)
                await server.set_state(run, state)
            await server.settled(3)
            data = await server.execute("{ attempt { request } }")
        assert played.refused == []
        states = [event["payload"]["custom_details"]["state"] for event in played.events]
        assert states == ["Scheduled", "Running", "Failed"]
        [key] = played.alerts
        assert run in key
        assert ROUTING_KEY not in orjson.dumps(data).decode()


async def test_numbers_are_read_with_the_operators_country(database_url: str, tmp_path: Path) -> None:
    async with running(database_url, tmp_path, phone_country="GB") as server:
        config = {
            "account_sid": "AC1",
            "messaging_service_sid": "MG1",
            "auth_token_secret": "TOKEN",
            "phone_numbers": ["020 7183 8750"],
        }
        await server.automation({"twilio_notification": config})
        data = await server.execute("{ action { action_config } }")
    assert data["action"][0]["action_config"]["phone_numbers"] == ["+442071838750"]
