"""One attempt: opens what was claimed, runs the client, and says how it ended. Nothing here is retried or written."""

import traceback
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from automations.actions.contract import Choices, Orchestration, Rejected, RetryLater, Sent, Tools
from automations.database import CONNECTION_LOST
from automations.delivery.claims import Claim, Ended, open_action, open_delivery, open_secrets
from automations.delivery.redaction import Redaction
from automations.delivery.retries import next_wait
from automations.http import Http
from automations.links import Links
from automations.mail import Mail
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
    ) -> None:
        self._http, self._vault, self._orchestration = http, vault, orchestration
        self._mail, self._choices = mail or Mail(), choices or Choices()
        self._links, self._retry_seconds = links, retry_seconds

    async def attempt(self, claim: Claim) -> Ended:
        """Send once. Every outcome is an `Ended`: an exception of a client is its bug, logged and tried again."""
        started_at = datetime.now(UTC)
        redaction = Redaction({})
        tools = None
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
            )
            result = await action.run(open_delivery(claim, self._links), tools)
        except (Rejected, RetryLater) as outcome:
            result = outcome
        except CONNECTION_LOST as error:
            result = RetryLater(f"A connection was lost ({type(error).__name__})", unknown=True)
        except Exception as error:
            log.error(  # noqa: TRY400 - the trace is shown, but without secrets
                "an action client failed",
                delivery_id=str(claim.id),
                action_type=claim.row["action_type"],
                trace=redaction.text("".join(traceback.format_exception(error))),
            )
            result = RetryLater(f"Internal error ({type(error).__name__}); the log has more")
        return self._ended(claim, started_at, result, None if tools is None else tools.request, redaction)

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
        )


def _pool(claim: Claim) -> str:
    return f"{claim.tenant_id}/{claim.destination}"
