"""Trying things out, and sending again."""

from uuid import UUID

import strawberry

from automations.access.roles import EDITORS, VIEWERS
from automations.api.fields import mutation, optional
from automations.api.inputs import ActionConfigInput, action_from
from automations.api.payloads import IdPayload
from automations.api.scalars import Json
from automations.errors import InvalidInput
from automations.events import EVENT_TYPES
from automations.trials import Outcome


@strawberry.input(name="test_action_input", description="An action to try out: a saved one, or a config.")
class TestActionInput:
    action_id: UUID | None = optional("The saved action.")
    config: ActionConfigInput | None = optional("A config that is not saved: exactly one key.")


@strawberry.input(name="test_automation_input", description="An automation to try out.")
class TestAutomationInput:
    automation_id: UUID = strawberry.field(description="The automation; one that is disabled can be tried out too.")
    flow_run_id: UUID | None = optional("A run to tell of; a sample by default.")


@strawberry.input(name="preview_message_input", description="A template to look at.")
class PreviewMessageInput:
    event_type: str = strawberry.field(description=f"The kind of event that it is for: {', '.join(EVENT_TYPES)}.")
    template: str = strawberry.field(description="The template.")
    flow_run_id: UUID | None = optional("A run to tell of; a sample by default.")


@strawberry.input(name="redeliver_input", description="A delivery to send again.")
class RedeliverInput:
    delivery_id: UUID = strawberry.field(description="The delivery, which has ended.")


@strawberry.type(name="test_payload", description="How the test of an action went.")
class TestPayload:
    action_id: UUID = strawberry.field(description="The action; of a config that is not saved, one that is not listed.")
    success: bool = strawberry.field(description="Whether it arrived.")
    error: str | None = strawberry.field(description="Why it did not.")
    status_code: int | None = strawberry.field(description="HTTP status of the answer.")
    rendered: Json | None = strawberry.field(description="What was sent, without secrets.")

    @classmethod
    def of(cls, outcome: Outcome) -> "TestPayload":
        return cls(
            action_id=outcome.action_id,
            success=outcome.success,
            error=outcome.error,
            status_code=outcome.status_code,
            rendered=outcome.rendered,
        )


@strawberry.type(name="test_automation_payload", description="How the test of an automation went.")
class TestAutomationPayload:
    results: list[TestPayload] = strawberry.field(description="One for each action, in order.")


@strawberry.type(name="preview_message_payload", description="A message as it would be sent.")
class PreviewMessagePayload:
    rendered: str = strawberry.field(description="The message.")
    unknown_fields: list[str] = strawberry.field(description="Names that such an event lacks: they stay as written.")


@strawberry.type
class TrialMutations:
    @mutation("Send a sample event with an action now, once, marked as a test.", by=EDITORS)
    async def test_action(self, info: strawberry.Info, input: TestActionInput) -> TestPayload | None:
        context = info.context
        if (input.action_id is None) == (input.config is None):
            raise InvalidInput("Give either action_id or config.")
        action = input.action_id or action_from(input.config, context.choices)
        return TestPayload.of(await context.services.trials.test_action(context.tenant_id, action))

    @mutation("Send with all actions of an automation now, once, marked as a test.", by=EDITORS)
    async def test_automation(self, info: strawberry.Info, input: TestAutomationInput) -> TestAutomationPayload | None:
        context = info.context
        outcomes = await context.services.trials.test_automation(
            context.tenant_id, input.automation_id, flow_run_id=input.flow_run_id
        )
        return TestAutomationPayload(results=[TestPayload.of(outcome) for outcome in outcomes])

    @mutation("Show a template with the values of an event in it. Nothing is sent.", by=VIEWERS)
    async def preview_message(self, info: strawberry.Info, input: PreviewMessageInput) -> PreviewMessagePayload | None:
        context = info.context
        preview = await context.services.trials.preview(
            context.tenant_id, input.event_type, input.template, flow_run_id=input.flow_run_id
        )
        return PreviewMessagePayload(rendered=preview.rendered, unknown_fields=preview.unknown_fields)

    @mutation("Owe a delivery that has ended once more, as a new one, with the action as it is now.", by=EDITORS)
    async def redeliver(self, info: strawberry.Info, input: RedeliverInput) -> IdPayload | None:
        context = info.context
        return IdPayload(id=await context.services.trials.redeliver(context.tenant_id, input.delivery_id))
