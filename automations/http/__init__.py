"""Every outbound call, and the only place that knows httpx and httpcore."""

from automations.http.client import ANSWER_BYTES, Answer, Http
from automations.http.errors import HttpError, NotSent, OutcomeUnknown, Refused
from automations.http.guard import Guard, Resolver
from automations.http.urls import check_headers, check_url

__all__ = [
    "ANSWER_BYTES",
    "Answer",
    "Guard",
    "Http",
    "HttpError",
    "NotSent",
    "OutcomeUnknown",
    "Refused",
    "Resolver",
    "check_headers",
    "check_url",
]
