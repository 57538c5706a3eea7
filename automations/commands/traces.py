"""Whether traces are asked for, by OpenTelemetry's own variables, and what tells them then."""

import os
from collections.abc import Mapping
from importlib.util import find_spec

from automations.settings import SettingsError
from automations.tracing import NO_TRACER, Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"


def check_traces(environment: Mapping[str, str] = os.environ) -> None:
    """SettingsError where traces are asked for that cannot be sent."""
    endpoint = _endpoint(environment)
    if endpoint is None:
        return
    protocol = next((name for name in _PROTOCOLS if environment.get(name)), None)
    if protocol is not None and environment[protocol] != _SPOKEN:
        raise SettingsError(f"{protocol}: traces are sent as {_SPOKEN} only")
    if not _is_installed():
        raise SettingsError(
            f"{endpoint}: traces need the extra: pip install 'automations[otel]'. OTEL_SDK_DISABLED=true does without."
        )


def load_tracer(environment: Mapping[str, str] = os.environ) -> Tracer:
    """What tells of this process's work; SettingsError as for `check_traces`."""
    check_traces(environment)
    if _endpoint(environment) is None:
        return NO_TRACER
    from automations.otel import OtelTracer

    return OtelTracer()


def _endpoint(environment: Mapping[str, str]) -> str | None:
    """The variable that says where spans go; None where none are wanted."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    return next((name for name in _ENDPOINTS if environment.get(name)), None)


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False
