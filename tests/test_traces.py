"""Traces: from the request over the evaluation to each attempt, whichever process does it; none unless asked for."""

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from subprocess import run
from typing import Any
from uuid import uuid4

import pytest

from automations.commands.traces import check_traces
from automations.database import Database
from automations.settings import SettingsError
from tests.collector import Collector, Span
from tests.harness import Automations, GraphQLError, serving
from tests.receivers import Receiver, in_turn, reply
from tests.test_cli import automations, complaint

CANARY = "canary-7f3a9c"
CALLER = "b7ad6b7169203331"


@dataclass(frozen=True)
class Traced:
    """A server, and where it sends its spans."""

    server: Automations
    collector: Collector

    def within(self, trace_id: str, flags: str = "01") -> Automations:
        """A client whose requests belong to a trace."""
        return Automations(self.server.url, self.server.client, {"traceparent": f"00-{trace_id}-{CALLER}-{flags}"})


@pytest.fixture
def trace_id() -> str:
    """That of a trace of the test's own."""
    return token_hex(16)


@pytest.fixture(scope="module")
async def traced(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Traced]:
    """One process that does everything."""
    folder = tmp_path_factory.mktemp("traced")
    async with (
        Collector() as collector,
        serving(folder, module_database_url, collector.told_by()) as server,
        server.client() as client,
    ):
        yield Traced(client, collector)


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Processes that are started meanwhile do not find OpenTelemetry."""
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))


async def webhook_with_canaries(server: Automations, url: str) -> dict[str, Any]:
    """A webhook whose every part that may hold a secret holds one."""
    await server.write("set_secret", "success", name="hook", value=f"{url}/{CANARY}")
    return {
        "webhook": {
            "url_secret": "hook",
            "headers": {"x-token": CANARY},
            "payload": {"told": f"{CANARY} {{flow_name}} {{state_message}}"},
        }
    }


async def test_one_trace_goes_from_the_request_to_the_attempts_of_another_process(
    tmp_path: Path, database_url: str, trace_id: str
) -> None:
    async with (
        Receiver(in_turn(reply(503, CANARY.encode()), reply(200, CANARY.encode()))) as receiver,
        Collector() as collector,
        serving(tmp_path, database_url, collector.told_by(service="answering"), roles="api") as answering,
        answering.client() as client,
    ):
        traced, sender = Traced(client, collector), collector.told_by(service="sending")
        async with serving(tmp_path, database_url, sender, roles="engine,delivery", retry_seconds="0.1") as sending:
            await client.automation(await webhook_with_canaries(client, receiver.url))
            flow_run_id = await client.run(await client.flow(f"flow {CANARY}"))
            await traced.within(trace_id).set_state(flow_run_id, "Failed", f"message {CANARY}")
            received = await receiver.wait_for(2)
            [delivery] = await client.settled(1)
            assert await sending.stop() == 0
        assert await answering.stop() == 0
    [request] = await collector.of(trace_id, "mutation set_flow_run_states")
    [evaluation] = await collector.of(trace_id, "evaluate state change")
    attempts = await collector.of(trace_id, "attempt WebhookAction")
    assert request.parent_id == CALLER
    assert evaluation.parent_id == request.id
    assert [attempt.parent_id for attempt in attempts] == [evaluation.id] * 2
    assert [span.service for span in (request, evaluation, *attempts)] == ["answering", "sending", "sending", "sending"]
    assert [each.headers["traceparent"] for each in received] == [attempt.traceparent for attempt in attempts]
    assert evaluation.attributes["automations.flow_run_id"] == flow_run_id
    assert evaluation.attributes["automations.firings"] == 1
    assert [_outcome(attempt) for attempt in attempts] == [(1, "RETRY", 503, True), (2, "DELIVERED", 200, False)]
    assert {attempt.attributes["automations.delivery_id"] for attempt in attempts} == {delivery["id"]}
    assert attempts[0].attributes["automations.destination"] == "webhook:secret:hook"
    assert all(CANARY.encode() not in each.body for each in collector.requests)


def _outcome(attempt: Span) -> tuple[int, str, int, bool]:
    told = attempt.attributes
    number, outcome = told["automations.attempt"], told["automations.outcome"]
    return number, outcome, told["http.response.status_code"], attempt.is_error


async def test_what_an_action_changes_goes_on_in_its_trace(traced: Traced, trace_id: str) -> None:
    running = {"flow_run_state_changed": {"states": ["Running"]}}
    await traced.server.automation({"cancel_flow_run": {}}, event=running)
    flow_run_id = await traced.server.run(await traced.server.flow())
    await traced.within(trace_id).set_state(flow_run_id, "Running")
    [attempt] = await traced.collector.of(trace_id, "attempt CancelFlowRunAction")
    evaluations = await traced.collector.of(trace_id, "evaluate state change", 2)
    states = {span.parent_id: span.attributes["automations.state"] for span in evaluations}
    assert states[attempt.id] == "cancelling"


async def test_test_delivery_goes_on_in_the_trace_of_its_request(traced: Traced, trace_id: str) -> None:
    config = {"webhook": {"url": "https://echo.invalid"}}
    await traced.within(trace_id).write("test_action", "success", config=config)
    [attempt] = await traced.collector.of(trace_id, "attempt WebhookAction")
    [request] = await traced.collector.of(trace_id, "mutation test_action")
    assert attempt.parent_id == request.id
    assert attempt.attributes["automations.is_test"] is True


async def test_operation_that_fails_says_which_kind_of_error_and_not_its_text(traced: Traced, trace_id: str) -> None:
    missing = str(uuid4())
    with pytest.raises(GraphQLError, match=missing):
        await traced.within(trace_id).execute(
            "mutation Rename($id: UUID!, $name: String!) {"
            " set_flow_run_name(input: {flow_run_id: $id, name: $name}) { success } }",
            id=missing,
            name=CANARY,
        )
    [span] = await traced.collector.of(trace_id, "mutation Rename")
    assert span.is_error
    assert span.attributes["error.type"] == "NotFound"
    sent = b"".join(request.body for request in traced.collector.requests)
    assert missing.encode() not in sent
    assert CANARY.encode() not in sent


async def test_trace_that_its_caller_does_not_sample_goes_on_unseen(traced: Traced, trace_id: str) -> None:
    seen = token_hex(16)
    async with Receiver() as receiver:
        skipped = {"flow_run_state_changed": {"states": ["Skipped"]}}
        await traced.server.automation({"webhook": {"url": receiver.url}}, event=skipped)
        runs = [await traced.server.run(await traced.server.flow()) for _ in range(2)]
        await traced.within(trace_id, "00").set_state(runs[0], "Skipped")
        [received] = await receiver.wait_for(1)
        await traced.within(seen).set_state(runs[1], "Skipped")
        await traced.collector.of(seen, "attempt WebhookAction")
    assert received.headers["traceparent"].startswith(f"00-{trace_id}-")
    assert received.headers["traceparent"].endswith("-00")
    assert trace_id not in {span.trace_id for span in traced.collector.spans}


async def test_what_somebody_else_wrote_in_place_of_a_trace_does_no_harm(
    traced: Traced, module_database_url: str
) -> None:
    connection = await Database(module_database_url).dedicated()
    async with Receiver() as receiver:
        mapped = {"flow_run_state_changed": {"states": ["Mapped"]}}
        await traced.server.automation({"webhook": {"url": receiver.url}}, event=mapped)
        flow_run_id = await traced.server.run(await traced.server.flow())
        async with connection.transaction():
            await connection.execute("SELECT set_config('automations.traceparent', 'rubbish', true)")
            await connection.execute(
                "INSERT INTO public.flow_run_state (tenant_id, flow_run_id, version, state, serialized_state)"
                " SELECT tenant_id, id, version + 1, 'Mapped', '{}' FROM public.flow_run WHERE id = $1",
                flow_run_id,
            )
        [received] = await receiver.wait_for(1)
    await connection.close()
    _, begun, attempt_id, _ = received.headers["traceparent"].split("-")
    [attempt] = await traced.collector.of(begun, "attempt WebhookAction")
    assert (attempt.id, attempt.parent_id) == (attempt_id, "")


async def test_last_spans_are_sent_before_the_end(tmp_path: Path, database_url: str, trace_id: str) -> None:
    async with (
        Collector() as collector,
        serving(tmp_path, database_url, collector.told_by(seconds=3600)) as server,
        server.client() as client,
    ):
        await Traced(client, collector).within(trace_id).execute("query Last { hello }")
        assert collector.spans == []
        assert await server.stop() == 0
        [last] = await collector.of(trace_id, "query Last")
    assert last.parent_id == CALLER


@pytest.mark.usefixtures("without_extra")
async def test_without_the_extra_the_server_works(tmp_path: Path, database_url: str) -> None:
    async with Receiver() as receiver, serving(tmp_path, database_url) as server, server.client() as client:
        await client.automation({"webhook": {"url": receiver.url}})
        await client.set_state(await client.run(await client.flow()), "Failed")
        [received] = await receiver.wait_for(1)
    assert "traceparent" not in received.headers


@pytest.mark.usefixtures("without_extra")
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_traces_that_are_asked_for_without_the_extra_stop_the_start(
    workers: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    done = await automations("serve", "--port", "0", data_dir=str(tmp_path / "data"), workers=workers)
    assert done.code == 2
    assert "OTEL_EXPORTER_OTLP_ENDPOINT: traces need the extra: pip install 'automations[otel]'" in complaint(done)


@pytest.mark.parametrize("off", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_traces_are_switched_off_by_their_own_variables(off: dict[str, str]) -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_PROTOCOL"):
        check_traces(asked)
    check_traces(asked | off)


def test_opentelemetry_is_not_loaded_where_nobody_asked() -> None:
    program = (
        "import sys; import automations.app; from automations.commands.traces import load_tracer; load_tracer({});"
        " print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
