"""The tracer over OpenTelemetry's SDK, which sends spans by OTLP over HTTP.

An extra (`pip install automations[otel]`), imported only where it is asked for. The SDK reads its own variables
(OTEL_*): https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from automations import __version__
from automations.tracing import Attributes

_HEADER = "traceparent"
_KINDS = {"server": trace.SpanKind.SERVER, "client": trace.SpanKind.CLIENT}
_w3c = TraceContextTextMapPropagator()


class OtelTracer:
    """A `Tracer`."""

    def __init__(self) -> None:
        self._ids = _Ids()
        ours = Resource.create({"service.name": "automations", "service.version": __version__})
        self._provider = TracerProvider(
            resource=ours.merge(OTELResourceDetector().detect()), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("automations", __version__)

    @contextmanager
    def span(self, name: str, *, parent: str | None, kind: Literal["server", "client"]) -> Iterator["_Span"]:
        with self._tracer.start_as_current_span(
            name,
            _context_of(parent),
            _KINDS[kind],
            record_exception=False,  # its text may hold anything
            set_status_on_exception=False,
        ) as span:
            yield _Span(span)

    def record(self, name: str, attributes: Attributes, *, parent: str, traceparent: str, started_at: datetime) -> None:
        own = trace.get_current_span(_context_of(traceparent)).get_span_context()
        if not own.is_valid:
            return
        self._ids.given = own.span_id
        self._tracer.start_span(
            name, _context_of(parent), attributes=attributes, start_time=int(started_at.timestamp() * 1e9)
        ).end()

    def traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        _w3c.inject(carrier)
        return carrier.get(_HEADER)

    def close(self) -> None:
        self._provider.shutdown()


class _Span:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def is_recorded(self) -> bool:
        return self._span.is_recording()

    def tell(self, attributes: Attributes, *, error: str | None = None) -> None:
        self._span.set_attributes(attributes)
        if error is not None:
            self._span.set_attribute(ERROR_TYPE, error)
            self._span.set_status(trace.StatusCode.ERROR)


class _Ids(RandomIdGenerator):
    """Random ids; the next span's may be `given`, where the database made it."""

    given: int | None = None

    def generate_span_id(self) -> int:
        given, self.given = self.given, None
        return super().generate_span_id() if given is None else given


def _context_of(traceparent: str | None) -> Context:
    """What a span begins in: nothing of this process's own, and no trace where there is none or it cannot be read."""
    return _w3c.extract({} if traceparent is None else {_HEADER: traceparent}, Context())
