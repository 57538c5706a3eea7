"""One attempt: opens what was claimed, runs the client, and says how it ended. Nothing here is retried or written."""

import traceback
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from automations.actions.contract import Choices, Orchestration, Rejected, RetryLater, Sent, Tools
from automations.database import is_connection_lost
from automations.delivery.claims import Claim, Ended, Health, open_action, open_delivery, open_secrets
from automations.delivery.redaction import Redaction
from automations.delivery.retries import LONGEST_ASKED_SECONDS, next_wait
from automations.http import Http
from automations.links import Links
from automations.mail import Mail
from automations.tracing import NO_TRACER, Attributes, Tracer
from automations.vault import Vault

log = structlog.get_logger(__name__)


class Sender:
    """Carries attempts out."""

    def __init__(
        self,
        *,
        http: Http,
        vault: Vault,
        orchestration: Orchestration,
        links: Links,
        retry_seconds: Sequence[float],
        mail: Mail | None = None,
        choices: Choices | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._http, self._vault, self._orchestration = http, vault, orchestration
        self._mail, self._choices = mail or Mail(), choices or Choices()
        self._links, self._retry_seconds, self._tracer = links, retry_seconds, tracer

    async def attempt(self, claim: Claim) -> Ended:
        """Send once. Every outcome is an `Ended`: an exception of a client is its bug, logged and tried again."""
        name = f"attempt {claim.row['action_type']}"
        with self._tracer.span(name, parent=claim.row["traceparent"], kind="client") as span:
            ended = await self._send(claim)
            if span.is_recorded:
                span.tell(_told(ended), error=_kind(ended))
        return ended

    async def _send(self, claim: Claim) -> Ended:
        started_at = datetime.now(UTC)
        redaction = Redaction({})
        tools = None
        is_ours = False
        result: Sent | Rejected | RetryLater
        try:
            action = open_action(claim)
            secrets = open_secrets(claim, self._vault)
            redaction = Redaction({**secrets, **action.hidden})
            tools = Tools(
                http=self._http,
                mail=self._mail,
                orchestration=self._orchestration,
                choices=self._choices,
                secrets=secrets,
                destination=_pool(claim),
                traceparent=self._tracer.traceparent(),
            )
            result = await action.run(open_delivery(claim, self._links), tools)
        except (Rejected, RetryLater) as outcome:
            result = outcome
        except Exception as error:
            is_ours = True
            if is_connection_lost(error):
                result = RetryLater(f"A connection was lost ({type(error).__name__})", unknown=True)
            else:
                result = RetryLater(f"Internal error ({type(error).__name__}); the log has more")
                log.error(  # noqa: TRY400 - the trace is shown, but without secrets
                    "an action client failed",
                    delivery_id=str(claim.id),
                    action_type=claim.row["action_type"],
                    trace=redaction.text("".join(traceback.format_exception(error))),
                )
        ended = self._ended(claim, started_at, result, None if tools is None else tools.request, redaction)
        return ended if is_ours else replace(ended, health=_health(result), held_until=_held_until(result, ended))

    def _ended(
        self,
        claim: Claim,
        started_at: datetime,
        result: Sent | Rejected | RetryLater,
        request: object,
        redaction: Redaction,
    ) -> Ended:
        finished_at = datetime.now(UTC)
        outcome, reason, due_at = "DELIVERED", None, None
        if isinstance(result, Sent):
            reason = result.note
        else:
            outcome, reason = "FAILED", result.reason
            if isinstance(result, RetryLater):
                wait = next_wait(claim.number, self._retry_seconds, result.after)
                if claim.row["is_test"]:
                    reason = f"{reason}; a test is tried once"
                elif wait is None:
                    reason = f"{reason}; gave up after {claim.number} attempts"
                else:
                    outcome, due_at = "RETRY", finished_at + timedelta(seconds=wait)
        return Ended(
            claim=claim,
            started_at=started_at,
            finished_at=finished_at,
            outcome=outcome,
            due_at=due_at,
            status_code=None if result.answer is None else result.answer.status_code,
            reason=None if reason is None else redaction.text(reason),
            request=redaction.request(request),
            answer=None if result.answer is None else redaction.answer(result.answer.body),
            is_unknown=isinstance(result, RetryLater) and result.unknown,
            pauses=isinstance(result, Rejected) and result.pauses,
        )


def _asks_to_wait(result: Sent | Rejected | RetryLater) -> bool:
    """Whether it is the destination that is busy (RFC 6585, section 4), and not this delivery that failed."""
    if not isinstance(result, RetryLater) or result.after is None or result.answer is None:
        return False
    return result.answer.status_code == 429


def _health(result: Sent | Rejected | RetryLater) -> Health | None:
    """What an attempt says about its destination: one that answers, if only to refuse, works."""
    match result:
        case Sent():
            return "WORKS"
        case Rejected():
            return None if result.answer is None else "WORKS"
    return None if _asks_to_wait(result) else "FAILS"


def _held_until(result: Sent | Rejected | RetryLater, ended: Ended) -> datetime | None:
    if not isinstance(result, RetryLater) or result.after is None or not _asks_to_wait(result):
        return None
    return ended.finished_at + timedelta(seconds=min(result.after, LONGEST_ASKED_SECONDS))


def _told(ended: Ended) -> Attributes:
    """What a span says of an attempt: nothing of what was sent or answered."""
    claim = ended.claim
    told: dict[str, str | bool | int] = {
        "automations.tenant_id": str(claim.tenant_id),
        "automations.firing_id": str(claim.row["firing_id"]),
        "automations.delivery_id": str(claim.id),
        "automations.attempt": claim.number,
        "automations.action_type": claim.row["action_type"],
        "automations.destination": claim.destination,
        "automations.outcome": ended.outcome,
        "automations.is_test": claim.row["is_test"],
    }
    return told if ended.status_code is None else told | {"http.response.status_code": ended.status_code}


def _kind(ended: Ended) -> str | None:
    """What kind of error an attempt ended with: the status, or that there was none."""
    if ended.outcome == "DELIVERED":
        return None
    return "no answer" if ended.status_code is None else str(ended.status_code)


def _pool(claim: Claim) -> str:
    return f"{claim.tenant_id}/{claim.destination}"
