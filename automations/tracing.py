"""What the product needs of a tracer, and one that does nothing: nobody pays for traces that nobody asked for.

A trace goes on from process to process by its `traceparent` (W3C Trace Context), over HTTP and through the database.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Literal, Protocol

Attributes = Mapping[str, str | bool | int | float]
"""Ids, names and numbers: never variables, and nothing of what was sent or answered."""


class Span(Protocol):
    """A piece of work of one process."""

    @property
    def is_recorded(self) -> bool:
        """Whether it is worth telling anything."""

    def tell(self, attributes: Attributes, *, error: str | None = None) -> None:
        """Say more of it; `error` is the kind of what went wrong, never its text."""


class Tracer(Protocol):
    """Tells of the work of this process."""

    def span(self, name: str, *, parent: str | None, kind: Literal["server", "client"]) -> AbstractContextManager[Span]:
        """A span for as long as the context lasts, which goes on with the trace of `parent`, or begins one."""

    def record(self, name: str, attributes: Attributes, *, parent: str, traceparent: str, started_at: datetime) -> None:
        """A span that ends now and whose own `traceparent` has been handed on already."""

    def traceparent(self) -> str | None:
        """That of the span which the caller's work belongs to; None outside of any."""

    def close(self) -> None:
        """Send what is left."""


class _NoSpan:
    is_recorded = False

    def tell(self, attributes: Attributes, *, error: str | None = None) -> None:
        """Nobody wants to know."""


class _NoTracer:
    _nothing: AbstractContextManager[Span] = nullcontext(_NoSpan())

    def span(self, name: str, *, parent: str | None, kind: str) -> AbstractContextManager[Span]:  # noqa: ARG002
        return self._nothing

    def record(self, name: str, attributes: Attributes, *, parent: str, traceparent: str, started_at: datetime) -> None:
        """Nobody wants to know."""

    def traceparent(self) -> str | None:
        return None

    def close(self) -> None:
        """There is nothing to send."""


NO_TRACER: Tracer = _NoTracer()
