"""The pages about events and about trying things out: they have every field, and their examples run as they stand."""

import re
from pathlib import Path
from typing import Any

import pytest

from automations.api.inputs import (
    AgentSlaFailedInput,
    FlowRunStateChangedInput,
    FlowSlaFailedInput,
    ServerProblemInput,
)
from automations.definitions.triggers import TRIGGERS
from automations.events import ATTRIBUTE_ALIASES, EVENT_TYPES
from tests.harness import Automations
from tests.providers import slack
from tests.providers.slack import Slack
from tests.receivers import Receiver, reply

DOCS = Path(__file__).parent.parent / "docs"
EVENTS, TRYING = [(DOCS / name).read_text() for name in ("events.md", "trying-things-out.md")]
README = (DOCS.parent / "README.md").read_text()

# What an example's answer gives is what later ones call so.
GIVEN = {
    "create_flow_sla_config": "SLA",
    "create_action": "ACTION",
    "create_agent_config": "AGENT_CONFIG",
}


def section(page: str, title: str) -> str:
    return page.split(f"\n## {title}\n")[1].partition("\n## ")[0]


def examples(text: str) -> list[str]:
    return re.findall(r"```graphql\n(.*?)```", text, re.DOTALL)


async def paste(api: Automations, text: str, **ids: str) -> list[Any]:
    """The answers to all examples of a text, one after the other."""
    answers = []
    for example in examples(text):
        for name, value in ids.items():
            example = example.replace(f'"{name}"', f'"{value}"')  # noqa: PLW2901
        answers.append(data := await api.execute(example))
        ids |= {name: data[field]["id"] for field, name in GIVEN.items() if field in data}
    return answers


def test_page_of_events_has_each_event_with_every_field() -> None:
    inputs = (FlowRunStateChangedInput, FlowSlaFailedInput, AgentSlaFailedInput, ServerProblemInput)
    for trigger, input_ in zip(TRIGGERS, inputs, strict=True):
        key = trigger.EVENT_TYPE.key
        assert [name for name in input_.__annotations__ if f"\n| `{name}` |" not in section(EVENTS, key)] == []
        assert f"| [`{key}`](docs/events.md#{key}) |" in README


def test_page_of_events_has_every_attribute() -> None:
    attributes = section(EVENTS, "Attributes")
    for event_type in EVENT_TYPES.values():
        assert [name for name in (*event_type.attributes, *ATTRIBUTE_ALIASES) if f"`{name}`" not in attributes] == []


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger.EVENT_TYPE.key)
async def test_examples_of_an_event_can_be_pasted(api: Automations, trigger: Any) -> None:
    flow = await api.flow()
    rows = await api.execute("query($id: uuid!) { flow_by_pk(id: $id) { flow_group_id } }", id=flow)
    key = trigger.EVENT_TYPE.key
    await paste(api, section(EVENTS, key), FLOW_GROUP=rows["flow_by_pk"]["flow_group_id"])
    data = await api.execute("{ automation { event_type } }")
    assert {row["event_type"] for row in data["automation"]} == {trigger.EVENT_TYPE.name}


async def test_examples_of_trying_things_out_can_be_pasted(server: Automations) -> None:
    async with Receiver(played := Slack()) as receiver:
        await server.write("set_secret", "success", name="SLACK", value=receiver.url + slack.PATH)
        automation = await server.automation({"slack_notification": {"webhook_url_secret": "SLACK"}})
        run = await server.run(await server.flow())
        played.answer_next(reply(404, b"no_service"))
        await server.set_state(run, "Failed", "disk full")
        [failed] = await server.settled(1)
        pasted = await paste(server, TRYING, AUTOMATION=automation, RUN=run, DELIVERY=failed["id"])
        preview, tried, all_tried, echoed, listed, _ = pasted
        again = (await server.settled(5))[-1]
    assert preview["preview_message"]["rendered"] == (
        "nightly-etl / amber-otter is Failed: Some reference tasks failed"
    )
    assert tried["test_action"]["success"]
    assert echoed["test_action"]["status_code"] == 200
    assert [result["success"] for result in all_tried["test_automation"]["results"]] == [True]
    assert [row["id"] for row in listed["delivery"]] == [failed["id"]]
    assert (failed["status"], again["status"]) == ("FAILED", "DELIVERED")
    assert played.refused == []
    assert ["test" in str(message).lower() for message in played.messages] == [True, True, False]
