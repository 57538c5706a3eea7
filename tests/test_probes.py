"""What orchestrators, Prometheus and people on call are told."""

from pathlib import Path
from uuid import UUID

import orjson
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from automations.database import DedicatedConnection
from automations.health import MEANINGS
from automations.postgres import EmbeddedPostgres
from tests.delivery.ledger import Ledger
from tests.harness import Automations, eventually, running, serving
from tests.outages import close_database, terminate_others
from tests.receivers import Receiver, refusing_port, reply
from tests.test_cli import Done
from tests.test_cli import automations as command

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(server: Automations) -> Samples:
    """Every number, by name and labels."""
    answer = await server.client.get(f"{server.url}/metrics", headers=server.headers)
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def number(samples: Samples, name: str, **labels: str) -> float:
    """One of them; 0 where there is none yet."""
    return samples.get((f"automations_{name}", frozenset(labels.items())), 0)


# Prometheus


async def test_work_done_is_counted(server: Automations) -> None:
    before = await scrape(server)
    async with Receiver(reply(200, b"ok")) as receiver:
        await server.automation({"webhook": {"url": receiver.url}})
        await server.set_state(await server.run(await server.flow()), "Failed")

        async def rise() -> Samples | None:
            now = await scrape(server)
            sent = {"action_type": "WebhookAction", "outcome": "DELIVERED", "answer": "2xx"}
            return now if number(now, "attempts_total", **sent) > number(before, "attempts_total", **sent) else None

        after = await eventually(rise)
    for name, labels, least in [
        ("state_changes_total", {}, 2),
        ("firings_total", {"event_type": "FlowRunStateChangedEvent"}, 1),
        ("evaluation_lag_seconds_count", {}, 1),
        ("delivery_lag_seconds_count", {}, 1),
        ("attempt_seconds_count", {"action_type": "WebhookAction"}, 1),
    ]:
        assert number(after, name, **labels) - number(before, name, **labels) >= least, name
    assert number(after, "database_up") == 1
    assert number(after, "automations") == 1
    assert number(after, "table_bytes", table="automations.delivery") > 0


async def test_every_figure_of_the_database_is_there(server: Automations) -> None:
    samples = await scrape(server)
    assert {f"automations_{name}" for name in MEANINGS} <= {name for name, _ in samples}


async def test_workers_count_together(tmp_path: Path, database_url: str) -> None:
    async with serving(tmp_path, database_url, workers="2") as server, server.client() as client:
        flow = await client.flow()
        for _ in range(20):
            await client.run(flow)

        async def are_counted() -> bool:
            return number(await scrape(client), "state_changes_total") == 20

        await eventually(are_counted, 20)


async def test_metrics_need_a_key_for_all_tenants_where_keys_are_asked_for(
    guarded_server: Automations, guarded: Automations
) -> None:
    for headers in ({}, guarded.headers):
        answer = await guarded_server.client.get(f"{guarded_server.url}/metrics", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "automations_" not in answer.text
    assert number(await scrape(guarded_server), "database_up") == 1


# Ready or not


async def test_server_without_its_database_lives_and_is_not_ready(
    tmp_path: Path, database_url: str, connection: DedicatedConnection, postgres: EmbeddedPostgres
) -> None:
    async with running(database_url, tmp_path) as server:
        assert (await server.client.get(f"{server.url}/readyz")).json() == {"ready": True}
        await close_database(postgres.url, connection, is_open=False)
        await terminate_others(connection)

        async def is_told() -> bool:
            return (await server.client.get(f"{server.url}/readyz")).status_code == 503

        await eventually(is_told)
        assert (await server.client.get(f"{server.url}/healthz")).status_code == 200
        assert number(await scrape(server), "database_up") == 0
        await close_database(postgres.url, connection, is_open=True)

        async def is_ready() -> bool:
            return (await server.client.get(f"{server.url}/readyz")).status_code == 200

        await eventually(is_ready, 20)


# Somebody on call


async def status(database_url: str, *arguments: str) -> Done:
    return await command("status", *arguments, database_url=database_url)


async def test_status_of_a_quiet_server_is_fine(database_url: str) -> None:
    done = await status(database_url)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("\nNothing is wrong.\n")


async def test_status_says_what_is_late_and_what_to_do(
    database_url: str, ledger: Ledger, connection: DedicatedConnection
) -> None:
    await ledger.owe(count=3, in_seconds=-100)
    done = await status(database_url)
    assert done.code == 1
    assert "! deliveries are late: 3 deliveries wait for a free place, the oldest for 10" in done.out
    told = orjson.loads((await status(database_url, "--json")).out)
    assert told["deliveries_due"] == 3
    assert list(told["problems"]) == ["deliveries are late"]


async def test_delivery_that_waits_for_its_destination_is_not_late(
    database_url: str, ledger: Ledger, connection: DedicatedConnection, tenant_id: UUID
) -> None:
    await ledger.owe(destinations=["down"], in_seconds=-100)
    await connection.execute(
        "INSERT INTO automations.destination (tenant_id, name, failures, openings, open_until) "
        "VALUES ($1, 'down', 20, 10, now() + interval '5 minutes')",
        tenant_id,
    )
    told = orjson.loads((await status(database_url, "--json")).out)
    assert (told["deliveries_due"], told["deliveries_pending"]) == (0, 1)
    assert list(told["problems"]) == ["a destination fails"]


async def test_status_of_an_unreachable_database_says_so(database_url: str) -> None:
    with refusing_port() as port:
        done = await status(f"postgresql://nobody@127.0.0.1:{port}/none")
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "the database cannot be read" in done.err


# Signs of life


async def test_sign_of_life_is_given_by_one_process_of_all(tmp_path: Path, database_url: str) -> None:
    async with Receiver(reply(200, b"ok")) as receiver:
        async with (
            running(database_url, tmp_path, ping_url=receiver.url),
            running(database_url, tmp_path, ping_url=receiver.url),
        ):

            async def is_given() -> bool:
                return bool(receiver.requests)

            await eventually(is_given)
        assert [request.method for request in receiver.requests] == ["GET"]


@pytest.mark.parametrize("is_late", [True, False])
async def test_no_sign_of_life_while_deliveries_are_late(
    tmp_path: Path, database_url: str, ledger: Ledger, is_late: bool
) -> None:
    """With nobody to send them: the role is left out."""
    await ledger.owe(in_seconds=-100 if is_late else 0)
    async with Receiver(reply(200, b"ok")) as receiver:
        with structlog.testing.capture_logs() as lines:
            async with running(database_url, tmp_path, roles=("engine",), ping_url=receiver.url):

                async def has_looked() -> bool:
                    return bool(receiver.requests) or any(line["event"] == "deliveries are late" for line in lines)

                await eventually(has_looked)
        assert bool(receiver.requests) == (not is_late)
