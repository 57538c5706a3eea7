"""Actions on runs of an existing backend: its API carries them out, and what it says is what the ledger says."""

from pathlib import Path
from typing import Any

import pytest

from automations.database import DedicatedConnection
from tests.attached.conftest import Attached
from tests.attached.theirs import Flow, Theirs
from tests.harness import GraphQLError, running
from tests.providers.prefect_server import KEY, PrefectServer
from tests.receivers import Behaviour, Receiver, hang_up, refusing_port, reply, reply_bytes, reset

ON_BACKEND: dict[str, dict[str, Any]] = {"cancel_flow_run": {}, "pause_schedule": {}, "create_flow_run": {}}


def entering(state: str) -> dict[str, Any]:
    return {"flow_run_state_changed": {"states": [state]}}


async def paused_run(attached: Attached, action: dict[str, Any], flow: Flow | None = None) -> Any:
    """Let a run enter Paused, with an automation that waits for it; the run's id."""
    await attached.api.automation(action, event=entering("Paused"))
    run = await attached.theirs.run((flow or await attached.theirs.flow()).id)
    await attached.theirs.enter(run, "Paused")
    return run


async def ended(attached: Attached, count: int = 1) -> dict[str, Any]:
    """The first of so many deliveries, once all of them have ended."""
    rows = await attached.api.settled(count)
    while any(row["status"] == "PENDING" for row in rows):
        rows = await attached.api.settled(count)
    return rows[0]


async def test_run_is_cancelled(attached: Attached) -> None:
    run = await paused_run(attached, {"cancel_flow_run": {}})
    sent = await ended(attached)
    assert (sent["status"], sent["status_code"], sent["reason"]) == ("DELIVERED", None, "The run is Cancelled")
    assert attached.server.done == [("cancel_flow_run", {"flow_run_id": str(run)})]
    assert await attached.theirs.state(run) == "Cancelled"


async def test_schedule_of_the_newest_version_is_switched_off(attached: Attached) -> None:
    flow = await attached.theirs.flow(schedule=True)
    older = await attached.theirs.value(
        "INSERT INTO flow (tenant_id, name, version, flow_group_id, archived, is_schedule_active)"
        " SELECT tenant_id, name, 0, flow_group_id, true, true FROM flow WHERE id = $1 RETURNING id",
        flow.id,
    )
    await paused_run(attached, {"pause_schedule": {}}, flow)
    assert (await ended(attached))["reason"] == "The schedule is off"
    assert await attached.theirs.value("SELECT id FROM flow WHERE is_schedule_active") == older


async def test_run_is_made_with_the_delivery_as_its_key(attached: Attached) -> None:
    config = {"run_name": "after {flow_run_name}", "parameters": {"failed": "{flow_run_id}"}}
    run = await paused_run(attached, {"create_flow_run": config})
    sent = await ended(attached)
    made = await attached.theirs.value("SELECT id FROM flow_run WHERE idempotency_key = $1", sent["id"])
    assert sent["reason"] == f"The run is {made}"
    [(name, input_)] = attached.server.done
    assert name == "create_flow_run"
    assert (input_["flow_run_name"], input_["parameters"]) == ("after nightly", {"failed": str(run)})


@pytest.mark.parametrize(
    "trouble", [reply(500, b"no"), reply(503), reply(429), reset, hang_up], ids=["500", "503", "429", "reset", "closed"]
)
async def test_trouble_is_tried_again(attached: Attached, trouble: Behaviour) -> None:
    attached.server.answer_next(trouble, trouble)
    run = await paused_run(attached, {"cancel_flow_run": {}})
    sent = await ended(attached)
    assert (sent["status"], sent["attempt_count"]) == ("DELIVERED", 3)
    assert await attached.theirs.state(run) == "Cancelled"


async def test_answer_that_is_lost_makes_no_second_run(attached: Attached) -> None:
    attached.server.answers_lost = 2
    await paused_run(attached, {"create_flow_run": {}})
    sent = await ended(attached)
    assert (sent["status"], sent["attempt_count"]) == ("DELIVERED", 3)
    assert await attached.theirs.value("SELECT count(*) FROM flow_run WHERE idempotency_key IS NOT NULL") == 1


async def test_refusal_of_the_backend_is_final_and_told(attached: Attached) -> None:
    await paused_run(attached, {"create_flow_run": {"parameters": {"refuse": "yes"}}})
    sent = await ended(attached)
    assert (sent["status"], sent["attempt_count"], sent["status_code"]) == ("FAILED", 1, 200)
    assert sent["reason"] == "The orchestration backend refused: Required parameters were not supplied: {'x'}"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(401, b"no"), "The orchestration backend answered 401"),
        (reply(400, b'{"errors": [{"message": "no such field"}]}'), "The orchestration backend refused: no such field"),
        (reply(302, b"", {"Location": "/"}), "answered 302 (redirects are not followed)"),
        (reply(200, b"<html>"), "did not answer as a GraphQL API does. Check AUTOMATIONS_ORCHESTRATION_URL"),
        (reply(200, b'{"data": null}'), "did not answer as a GraphQL API does"),
        (reply(200, b'{"errors": ["odd"]}'), "The orchestration backend refused: it gave no reason"),
        (reply(200, b"[]"), "did not answer as a GraphQL API does"),
    ],
)
async def test_answer_that_is_none_is_final(attached: Attached, answer: Behaviour, reason: str) -> None:
    attached.server.answer_next(answer)
    run = await paused_run(attached, {"cancel_flow_run": {}})
    sent = await ended(attached)
    assert (sent["status"], sent["attempt_count"]) == ("FAILED", 1)
    assert reason in sent["reason"]
    assert await attached.theirs.state(run) == "Paused"


async def test_chain_of_automations_ends(watched: Theirs, attached_url: str, tmp_path: Path) -> None:
    """Runs that are made because runs are made; and those, because runs that we made were cancelled."""
    async with (
        Receiver(PrefectServer(watched)) as receiver,
        running(attached_url, tmp_path, orchestration_url=f"{receiver.url}/", max_depth=2) as api,
    ):
        attached = Attached(api, watched, PrefectServer(watched))
        made = await api.automation({"create_flow_run": {}}, event=entering("Scheduled"))
        await watched.run((await watched.flow()).id)
        await ended(attached, 4)
        assert await depths(watched.connection) == [
            (0, "DELIVERED"),
            (1, "DELIVERED"),
            (2, "DELIVERED"),
            (3, "SUPPRESSED"),
        ]

        await api.write("delete_automation", "success", automation_id=made)
        await watched.connection.execute("TRUNCATE automations.firing, automations.delivery")
        await api.automation({"cancel_flow_run": {}}, event=entering("Scheduled"))
        await api.automation({"create_flow_run": {}}, event=entering("Cancelled"))
        await watched.run((await watched.flow()).id)
        await ended(attached, 4)
        assert [depth for depth, _ in await depths(watched.connection)] == [0, 1, 2, 3]


async def depths(connection: DedicatedConnection) -> list[tuple[int, str]]:
    """How deep in a chain each delivery is, and how it ended."""
    rows = await connection.fetch(
        "SELECT depth, status FROM automations.delivery JOIN automations.firing ON firing.id = firing_id ORDER BY depth"
    )
    return [(row["depth"], row["status"]) for row in rows]


async def test_key_is_shown_to_the_backend_and_to_nobody_else(
    watched: Theirs, attached_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    played = PrefectServer(watched, asks_for_key=True)
    echo = reply(400, f'{{"errors": [{{"message": "odd: Bearer {KEY}"}}]}}'.encode())
    async with Receiver(played) as receiver:
        settings = {"orchestration_url": f"{receiver.url}/", "orchestration_api_key": KEY}
        async with running(attached_url, tmp_path, **settings) as api:
            attached = Attached(api, watched, played)
            await paused_run(attached, {"cancel_flow_run": {}})
            assert (await ended(attached))["status"] == "DELIVERED"
            played.answer_next(echo)
            run = await watched.run((await watched.flow()).id)
            await watched.enter(run, "Paused")
            await ended(attached, 2)
            ledger = await api.execute("{ delivery { reason } attempt { request answer reason } }")
    assert played.refused == []
    assert "odd: Bearer (hidden)" in str(ledger)
    assert KEY not in str(ledger)
    assert KEY not in "".join(capsys.readouterr())


async def test_without_its_address_actions_on_runs_are_refused_when_they_are_saved(
    watched: Theirs, attached_url: str, tmp_path: Path
) -> None:
    async with running(attached_url, tmp_path) as api:
        for key, config in ON_BACKEND.items():
            with pytest.raises(
                GraphQLError, match=f"{key} cannot be carried out: .* Set AUTOMATIONS_ORCHESTRATION_URL"
            ):
                await api.automation({key: config})
            with pytest.raises(GraphQLError, match="Set AUTOMATIONS_ORCHESTRATION_URL"):
                await api.write("create_action", config={key: config})
        assert (await api.execute("{ automation { id } action { id } }")) == {"automation": [], "action": []}


async def test_without_its_address_what_is_owed_already_fails_visibly(
    watched: Theirs, attached_url: str, tmp_path: Path
) -> None:
    with refusing_port() as port:
        async with running(attached_url, tmp_path, orchestration_url=f"http://127.0.0.1:{port}/") as api:
            for key, config in ON_BACKEND.items():
                await api.automation({key: config}, event=entering("Paused"))
            run = await watched.run((await watched.flow()).id)
    async with running(attached_url, tmp_path) as api:
        await watched.enter(run, "Paused")
        rows = await api.settled(3)
    assert {row["status"] for row in rows} == {"FAILED"}
    assert all("Set AUTOMATIONS_ORCHESTRATION_URL" in row["reason"] for row in rows)


async def test_backend_of_ones_own_needs_no_address(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(database_url, tmp_path, orchestration_url="http://127.0.0.1:1/") as api:
        await api.automation({"cancel_flow_run": {}}, event=entering("Paused"))
        run = await api.run(await api.flow())
        await api.set_state(run, "Paused")
        [sent] = await api.settled(1)
    assert sent["reason"] == "The run is Cancelled"
    assert "AUTOMATIONS_ORCHESTRATION_URL is not used" in capsys.readouterr().out


async def test_backend_that_does_not_speak_http_is_tried_again(attached: Attached) -> None:
    attached.server.answer_next(reply_bytes(b"SSH-2.0-OpenSSH_9.9\r\n", then_close=True))
    await paused_run(attached, {"cancel_flow_run": {}})
    sent = await ended(attached)
    assert (sent["status"], sent["attempt_count"]) == ("DELIVERED", 2)
