"""An OpenTelemetry collector on the loopback: OTLP over HTTP, as protobuf.

async with Collector() as collector:
    ...  # serving(data_dir, url, collector.told_by())
    attempts = await collector.of(trace_id, "attempt WebhookAction", 2)
"""

from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.harness import Program, eventually
from tests.receivers import Receiver, reply


@dataclass(frozen=True)
class Span:
    """A span as it was told: ids in hexadecimal; `service` is the process's name."""

    service: str
    name: str
    trace_id: str
    id: str
    parent_id: str
    attributes: dict[str, Any]
    is_error: bool
    seconds: float

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.id}-01"


class Collector(Receiver):
    """Keeps the spans that it is sent."""

    def __init__(self) -> None:
        super().__init__(reply(200, b"", {"Content-Type": "application/x-protobuf"}))

    def told_by(self, *, service: str = "automations", seconds: float = 0.05) -> Program:
        """The program as it sends its spans here, so often."""
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_BSP_SCHEDULE_DELAY": f"{seconds * 1000:.0f}",
            "OTEL_SERVICE_NAME": service,
        }
        return Program(variables=variables)

    @property
    def spans(self) -> list[Span]:
        """All that came, in the order in which they came."""
        return [span for request in self.requests for span in _spans(request.body)]

    async def of(self, trace_id: str, name: str, count: int = 1) -> list[Span]:
        """The spans of a trace that have a name, once there are so many."""

        async def found() -> list[Span] | None:
            spans = [span for span in self.spans if span.trace_id == trace_id and span.name == name]
            return spans if len(spans) >= count else None

        return list(await eventually(found, 30))


def _spans(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Span(
            service=_values(resource.resource.attributes)["service.name"],
            name=span.name,
            trace_id=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            attributes=_values(span.attributes),
            is_error=span.status.code == span.status.STATUS_CODE_ERROR,
            seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}
