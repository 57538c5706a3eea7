"""The client without asyncio. Made of `asynchronous.py` by `make client`: change it there."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack
from uuid import uuid4

import httpx

from automations.client import operations, wire
from automations.client.operations import AutomationChanges, Operation, OrderBy, Where
from automations.client.rows import Action, Attempt, Automation, Delivery, Firing, Preview, Saved, Trial

Answer = TypeVar("Answer")


class AutomationsClient:
    """The API of one server, with one key.

    A call that fails is made again, up to `retries` times: after a 5xx or a broken connection where it reads or carries
    an idempotency key, and always where no connection came about. `timeout` is seconds of silence in one try.
    What goes wrong is an AutomationsError with a `code`.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        tenant_id: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 3,
    ) -> None:
        self.url, self._retries = wire.endpoint(url), retries
        self._http = httpx.Client(headers=wire.headers(api_key, tenant_id), timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def execute(self, query: str, variables: Mapping[str, Any] | None = None) -> Any:
        """The data of any operation."""
        return self._run(operations.any_operation(query, variables))

    def automations(
        self,
        where: Where | None = None,
        *,
        order_by: OrderBy | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[Automation]:
        """Automations, 100 unless a limit is given."""
        return self._run(operations.rows(Automation, where, order_by, limit, offset))

    def automation(self, automation_id: str) -> Automation | None:
        """The automation with this id."""
        return self._run(operations.row_by_id(Automation, automation_id))

    def create_automation(
        self,
        name: str,
        *,
        event: Mapping[str, Any],
        actions: Sequence[Mapping[str, Any]],
        description: str | None = None,
        enabled: bool = True,
        idempotency_key: str | None = None,
    ) -> Saved:
        """Make an automation. Without an idempotency key the call gets one of its own, and may be repeated."""
        return self._run(
            operations.write(
                "create_automation",
                Saved,
                {
                    "name": name,
                    "description": description,
                    "enabled": enabled,
                    "event": event,
                    "actions": actions,
                    "idempotency_key": idempotency_key or str(uuid4()),
                },
            )
        )

    def update_automation(self, automation_id: str, **changes: Unpack[AutomationChanges]) -> Saved:
        """Change an automation, all of the change or nothing of it."""
        return self._run(operations.write("update_automation", Saved, {"automation_id": automation_id, **changes}))

    def delete_automation(self, automation_id: str) -> None:
        """Delete an automation. What it owes is still sent."""
        self._run(operations.order("delete_automation", {"automation_id": automation_id}))

    def test_automation(self, automation_id: str, *, flow_run_id: str | None = None) -> list[Trial]:
        """Send with all of its actions now, once, marked as a test: of a run, or of a sample."""
        return self._run(operations.try_automation(Trial, {"automation_id": automation_id, "flow_run_id": flow_run_id}))

    def actions(
        self,
        where: Where | None = None,
        *,
        order_by: OrderBy | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[Action]:
        """Actions, those made inside automations included; 100 unless a limit is given."""
        return self._run(operations.rows(Action, where, order_by, limit, offset))

    def action(self, action_id: str) -> Action | None:
        """The action with this id."""
        return self._run(operations.row_by_id(Action, action_id))

    def create_action(
        self, config: Mapping[str, Any], *, name: str | None = None, idempotency_key: str | None = None
    ) -> Saved:
        """Save an action. Without an idempotency key the call gets one of its own, and may be repeated."""
        key = idempotency_key or str(uuid4())
        return self._run(
            operations.write("create_action", Saved, {"config": config, "name": name, "idempotency_key": key})
        )

    def update_action(
        self, action_id: str, *, config: Mapping[str, Any] | None = None, name: str | None = None
    ) -> Saved:
        """Change an action; what is None stays. Deliveries that are pending are sent with the new config."""
        return self._run(
            operations.write("update_action", Saved, {"action_id": action_id, "config": config, "name": name})
        )

    def delete_action(self, action_id: str) -> None:
        """Delete an action that no automation uses."""
        self._run(operations.order("delete_action", {"action_id": action_id}))

    def test_action(self, action_id: str | None = None, *, config: Mapping[str, Any] | None = None) -> Trial:
        """Send a sample now, once, marked as a test: with a saved action, or with a config that is not saved."""
        return self._run(operations.write("test_action", Trial, {"action_id": action_id, "config": config}))

    def preview_message(self, event_type: str, template: str, *, flow_run_id: str | None = None) -> Preview:
        """A template with the values of an event in it: of a run, or of a sample. Nothing is sent."""
        return self._run(
            operations.write(
                "preview_message",
                Preview,
                {"event_type": event_type, "template": template, "flow_run_id": flow_run_id},
            )
        )

    def secret_names(self) -> list[str]:
        """The names of the secrets there are. Values cannot be read."""
        return self._run(operations.secret_names())

    def set_secret(self, name: str, value: Any) -> None:
        """Seal a JSON value under a name, in place of an earlier one."""
        self._run(operations.order("set_secret", {"name": name, "value": value}))

    def delete_secret(self, name: str) -> None:
        """Delete a secret; actions that use it fail with a reason until it is set again."""
        self._run(operations.order("delete_secret", {"name": name}))

    def firings(
        self,
        where: Where | None = None,
        *,
        order_by: OrderBy | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[Firing]:
        """Firings, 100 unless a limit is given."""
        return self._run(operations.rows(Firing, where, order_by, limit, offset))

    def deliveries(
        self,
        where: Where | None = None,
        *,
        order_by: OrderBy | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[Delivery]:
        """Deliveries, 100 unless a limit is given."""
        return self._run(operations.rows(Delivery, where, order_by, limit, offset))

    def attempts(
        self,
        where: Where | None = None,
        *,
        order_by: OrderBy | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[Attempt]:
        """Attempts, 100 unless a limit is given."""
        return self._run(operations.rows(Attempt, where, order_by, limit, offset))

    def redeliver(self, delivery_id: str) -> str:
        """Owe a delivery that has ended once more; the id of the new one."""
        return self._run(operations.redeliver({"delivery_id": delivery_id}))

    def _run(self, operation: Operation[Answer]) -> Answer:
        failures = 0
        while True:
            try:
                response = self._http.post(self.url, json=wire.body(operation))
            except httpx.TransportError as error:
                if failures == self._retries or not wire.may_repeat(operation, error):
                    raise wire.no_answer(self.url, error) from error
            else:
                if response.status_code < 500 or failures == self._retries or not operation.repeatable:
                    return operation.read(wire.data_of(response))
            failures += 1
            time.sleep(wire.wait_seconds(failures))
