"""What actions do on the watched side where that is an existing backend's: its own GraphQL API does it.

Its tables are read only. Its API takes no note of who asked: the evaluator finds that out (`automations.cause_of`).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson

from automations.actions.answers import TRANSIENT_4XX, judge
from automations.actions.contract import NO_BACKEND_URL, Rejected, request
from automations.database import Database
from automations.http import ANSWER_BYTES, Answer, Http
from automations.orchestration import flows

RECEIVER = "The orchestration backend"
MESSAGE_CHARACTERS = 500


class RemoteOrchestration:
    """Carries actions out with mutations that every Prefect Server has. Raises the errors of the action contract.

    `url` is where clients of the backend send their requests; without one, every action is rejected.
    """

    def __init__(self, database: Database, http: Http, *, url: str | None, api_key: str | None = None) -> None:
        self._database, self._http = database, http
        self._url, self._api_key = url, api_key

    async def cancel_flow_run(self, tenant_id: UUID, flow_run_id: UUID, *, message: str, caused_by: UUID) -> str:  # noqa: ARG002 - its API takes neither
        """Cancel a run and return the state it is in now."""
        payload = await self._mutate(tenant_id, "cancel_flow_run", "state", flow_run_id=str(flow_run_id))
        return str(payload.get("state") or "asked to stop")

    async def pause_schedule(self, tenant_id: UUID, flow_group_id: UUID, *, caused_by: UUID) -> None:  # noqa: ARG002
        """Switch the schedule of a flow group's newest version off."""
        flow_id = await self._flow(tenant_id, flow_group_id)
        payload = await self._mutate(tenant_id, "set_schedule_inactive", "success", flow_id=str(flow_id))
        if not payload.get("success"):
            raise Rejected(f"{RECEIVER} did not switch the schedule of the flow {flow_id} off")

    async def create_flow_run(
        self, tenant_id: UUID, flow_group_id: UUID, *, name: str | None, parameters: Any, caused_by: UUID
    ) -> UUID:
        """Schedule a run of a flow group's newest version. The delivery is its idempotency key."""
        flow_id = await self._flow(tenant_id, flow_group_id, idempotency_key=str(caused_by))
        given = {"flow_run_name": name, "parameters": parameters}
        payload = await self._mutate(
            tenant_id,
            "create_flow_run",
            "id",
            flow_id=str(flow_id),
            idempotency_key=str(caused_by),
            **{key: value for key, value in given.items() if value is not None},
        )
        try:
            return UUID(str(payload.get("id")))
        except ValueError:
            raise Rejected(f"{RECEIVER} made a run and did not say which") from None

    async def _flow(self, tenant_id: UUID, flow_group_id: UUID, *, idempotency_key: str | None = None) -> UUID:
        async with self._database.connection() as connection:
            return await flows.flow_of_flow_group(connection, tenant_id, flow_group_id, idempotency_key=idempotency_key)

    async def _mutate(self, tenant_id: UUID, mutation: str, fields: str, /, **input_: Any) -> Mapping[str, Any]:
        """The payload of a mutation."""
        if self._url is None:
            raise Rejected(f"This cannot be carried out: {NO_BACKEND_URL}")
        query = f"mutation($input: {mutation}_input!) {{ {mutation}(input: $input) {{ {fields} }} }}"
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._api_key is not None:
            headers |= {"Authorization": f"Bearer {self._api_key}", "X-PREFECT-TENANT-ID": str(tenant_id)}
        answer = await request(
            self._http,
            "POST",
            self._url,
            content=orjson.dumps({"query": query, "variables": {"input": input_}}),
            headers=headers,
            destination="orchestration",
            keep_bytes=ANSWER_BYTES,
        )
        return _payload(self._without_key(answer), mutation)

    def _without_key(self, answer: Answer) -> Answer:
        """What comes back is kept for people to see: a backend that repeats its key must not have it shown."""
        if self._api_key is None:
            return answer
        return replace(answer, body=answer.body.replace(self._api_key.encode(), b"(hidden)"))


def _payload(answer: Answer, mutation: str) -> Mapping[str, Any]:
    """What the mutation gave. Errors are a refusal, unless the status says that it may work later."""
    said = _said(answer)
    status = answer.status_code
    if (problem := _first_error(said)) and status < 500 and status not in TRANSIENT_4XX:
        raise Rejected(f"{RECEIVER} refused: {problem}", answer)
    judge(answer, receiver=RECEIVER)
    data = said.get("data")
    payload = data.get(mutation) if isinstance(data, dict) else None
    if not isinstance(payload, dict):
        raise Rejected(f"{RECEIVER} did not answer as a GraphQL API does. Check AUTOMATIONS_ORCHESTRATION_URL", answer)
    return payload


def _said(answer: Answer) -> Mapping[str, Any]:
    """The answer's JSON object; an empty one where it has none."""
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _first_error(said: Mapping[str, Any]) -> str | None:
    errors = said.get("errors")
    if not isinstance(errors, list) or not errors:
        return None
    message = errors[0].get("message") if isinstance(errors[0], dict) else None
    return str(message or "it gave no reason")[:MESSAGE_CHARACTERS]
