import time
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automations.events import (
    AGENT_SLA_FAILED,
    EVENT_TYPES,
    FLOW_RUN_STATE_CHANGED,
    FLOW_SLA_FAILED,
    EventType,
    sample_event,
)
from automations.messages import JSON, TemplateError, check, check_json, fields, render, render_json, unknown_fields

# A busy machine is no failure.
unhurried = settings(deadline=None)

WHERE = "slack_notification.message"
ANY_TEXT = st.text(st.characters(exclude_categories=()))
# Mostly what templates are made of, so that mistakes are near one another.
TEMPLATE_TEXT = st.text(st.sampled_from("{}ab_.[]!: \n0é")) | ANY_TEXT
NAMES = sorted({name for event_type in EVENT_TYPES.values() for name in event_type.attributes})
ANY_JSON: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEMPLATE_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEMPLATE_TEXT, inner, max_size=4),
    max_leaves=12,
)


def literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def nested(depth: int) -> JSON:
    value: JSON = "{state}"
    for _ in range(depth):
        value = [value]
    return value


@pytest.fixture
def event() -> dict[str, object]:
    return sample_event(FLOW_RUN_STATE_CHANGED)


def test_names_become_the_events_values(event: dict[str, object]) -> None:
    assert render("{flow_name}: {state}!", event) == "nightly-etl: Failed!"


def test_doubled_braces_are_braces(event: dict[str, object]) -> None:
    assert render("{{state}} {{{state}}} {{}}", event) == "{state} {Failed} {}"


def test_names_are_listed_once_in_order_of_appearance() -> None:
    assert fields("{state} {flow_name} {state} {{timestamp}} {anything_1}") == ("state", "flow_name", "anything_1")


def test_aliases_render_what_they_stand_for() -> None:
    event = sample_event(FLOW_SLA_FAILED)
    assert render("{event_id} {flow_sla_type} {duration}", event) == render("{id} {kind} {duration_seconds}", event)


def test_an_events_own_attribute_wins_over_an_alias() -> None:
    assert render("{duration}", {"duration": "own", "duration_seconds": 5}) == "own"


def test_names_the_event_lacks_stay_as_written(event: dict[str, object]) -> None:
    assert (
        render("{agent_ids} {duration} {nobody_knows} {State}", event)
        == "{agent_ids} {duration} {nobody_knows} {State}"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", ""),
        (600, "600"),
        (1.5, "1.5"),
        (True, "true"),
        ([], "[]"),
        (["a", 'quoted "b"', "é"], '["a","quoted \\"b\\"","é"]'),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ([UUID(int=7)], '["00000000-0000-0000-0000-000000000007"]'),
        (datetime(2026, 11, 23, 9, 30, tzinfo=UTC), "2026-11-23T09:30:00+00:00"),
        ([datetime(2026, 11, 23, tzinfo=UTC)], '["2026-11-23T00:00:00+00:00"]'),
    ],
)
def test_values_become_plain_text(value: object, text: str) -> None:
    assert render("<{state}>", {"state": value}) == f"<{text}>"


@unhurried
@given(st.lists(st.tuples(ANY_TEXT, st.sampled_from(NAMES))), st.dictionaries(st.sampled_from(NAMES), TEMPLATE_TEXT))
def test_a_template_gives_its_texts_and_values_and_nothing_else(
    pieces: list[tuple[str, str]], event: dict[str, str]
) -> None:
    template = "".join(f"{literal(text)}{{{name}}}" for text, name in pieces)
    assert render(template, event) == "".join(text + event.get(name, f"{{{name}}}") for text, name in pieces)
    assert fields(template) == tuple(dict.fromkeys(name for _, name in pieces))


@unhurried
@given(ANY_TEXT)
def test_text_with_doubled_braces_comes_back_as_it_was(text: str) -> None:
    assert render(literal(text), {}) == text
    assert fields(literal(text)) == ()


@unhurried
@given(TEMPLATE_TEXT)
def test_a_value_is_never_read_as_a_template(value: str) -> None:
    event = {"state": value, "a": "seen", "b": "seen"}
    assert render("{state}{state}", event) == value + value
    assert render_json({"{state}": ["{state}"]}, event) == {value: [value]}


@unhurried
@given(TEMPLATE_TEXT, st.sampled_from(list(EVENT_TYPES.values())).map(sample_event))
def test_any_text_is_a_template_or_a_template_error(text: str, event: dict[str, object]) -> None:
    event_type = EVENT_TYPES[str(event["event_name"])]
    try:
        names = fields(text)
    except TemplateError:
        with pytest.raises(TemplateError):
            render(text, event)
        with pytest.raises(TemplateError):
            check(text, event_type, where=WHERE)
        return
    assert isinstance(render(text, event), str)
    assert set(unknown_fields(text, event_type)) <= set(names)
    try:
        check(text, event_type, where=WHERE)
    except TemplateError:
        assert not set(names) <= set(NAMES)


@unhurried
@given(TEMPLATE_TEXT)
def test_an_error_can_always_be_shown(text: str) -> None:
    try:
        check(text, FLOW_RUN_STATE_CHANGED, where=WHERE)
    except TemplateError as error:
        assert str(error).encode().decode().isprintable()  # noqa: PT017 - most texts raise nothing


@pytest.mark.parametrize(
    "template",
    [
        "{state.upper}",
        "{state.__class__.__init__.__globals__}",
        "{state[0]}",
        "{state!r}",
        "{state:>10}",
        "{state:{flow_name}}",
        "{ state }",
        "{}",
        "{0}",
        "{größe}",
        "{state\n}",
        "{",
        "}",
        "{state",
        "state}",
        "{state}}",
        "{{state}",
        '{"text": "{state}"}',
    ],
)
def test_anything_but_a_name_between_braces_is_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        fields(template)
    with pytest.raises(TemplateError):
        render(template, {"state": "x"})


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        ("ab }", ["the } at character 4 closes nothing", "write }} for a brace"]),
        ("ab {state", ["the { at character 4 is not closed", "write {{ for a brace"]),
        ("a\nb\n {", ["line 3, character 2"]),
        ("{flow.name}", ["'{flow.name}' at character 1", "did you mean {flow_name}"]),
        ("{ state }", ["did you mean {state}"]),
        ("{state!r}", ["did you mean {state}"]),
        ('{"a": 1}', ["write {{ and }} for braces"]),
        ("{flow_run.naem}", ["{flow_run_name}"]),
    ],
)
def test_a_syntax_error_says_where_and_what_to_write(template: str, parts: list[str]) -> None:
    with pytest.raises(TemplateError) as refused:
        check(template, FLOW_RUN_STATE_CHANGED, where=WHERE)
    assert str(refused.value).startswith(f"{WHERE}: ")
    assert [part for part in parts if part not in str(refused.value)] == []


def test_a_name_that_no_event_has_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(TemplateError) as refused:
        check("Run {flow_run_nmae}", FLOW_RUN_STATE_CHANGED, where=WHERE)
    assert str(refused.value) == (
        "slack_notification.message: no event has the attribute 'flow_run_nmae' at character 5; "
        "did you mean {flow_run_name} or {flow_run_link} or {flow_run_id}?"
    )


def test_a_name_like_no_other_is_refused_with_all_names() -> None:
    with pytest.raises(
        TemplateError, match=r"FlowSLAFailedEvent has id, event_name, .*, event_id, flow_sla_type, duration"
    ):
        check("{zzz}", FLOW_SLA_FAILED, where=WHERE)


def test_only_names_of_the_automations_event_are_suggested() -> None:
    with pytest.raises(TemplateError) as refused:
        check("{agent_idz}", FLOW_RUN_STATE_CHANGED, where=WHERE)
    assert "{agent_ids}" not in str(refused.value)


def test_upper_case_is_a_mistake_with_a_suggestion() -> None:
    with pytest.raises(TemplateError, match=r"did you mean \{state\}"):
        check("{State}", FLOW_RUN_STATE_CHANGED, where=WHERE)


def test_a_name_of_another_event_is_a_warning() -> None:
    assert check("{state} {duration} {agent_ids} {agent_ids}", FLOW_RUN_STATE_CHANGED, where=WHERE) == [
        "slack_notification.message: FlowRunStateChangedEvent has no {duration}: it stays in the text as written",
        "slack_notification.message: FlowRunStateChangedEvent has no {agent_ids}: it stays in the text as written",
    ]


@pytest.mark.parametrize("event_type", EVENT_TYPES.values(), ids=lambda event_type: event_type.key)
def test_every_attribute_of_the_event_is_accepted(event_type: EventType) -> None:
    template = " ".join(f"{{{name}}}" for name in event_type.attributes)
    assert check(template, event_type, where=WHERE) == []
    assert unknown_fields(template, event_type) == []


def test_aliases_are_accepted_where_the_event_has_what_they_stand_for() -> None:
    assert check("{event_id} {flow_sla_type} {duration}", FLOW_SLA_FAILED, where=WHERE) == []
    assert unknown_fields("{event_id} {flow_sla_type} {duration}", AGENT_SLA_FAILED) == ["flow_sla_type", "duration"]


def test_unknown_fields_are_those_that_stay_in_the_text() -> None:
    template = "{state} {duration} {nobody_knows} {duration}"
    assert unknown_fields(template, FLOW_RUN_STATE_CHANGED) == ["duration", "nobody_knows"]


def test_payloads_are_rendered_in_keys_and_values(event: dict[str, object]) -> None:
    payload: JSON = {
        "{state}": ["{flow_name}", {"deep": "run {flow_run_name}"}],
        "n": 1,
        "x": 1.5,
        "b": True,
        "z": None,
    }
    assert render_json(payload, event) == {
        "Failed": ["nightly-etl", {"deep": "run amber-otter"}],
        "n": 1,
        "x": 1.5,
        "b": True,
        "z": None,
    }


def test_a_string_stays_a_string_where_it_is_one_field() -> None:
    event = {"duration_seconds": 600, "agent_ids": ["a"], "state_message": None}
    assert render_json(["{duration_seconds}", "{agent_ids}", "{state_message}"], event) == ["600", '["a"]', ""]


def test_rendering_leaves_the_payload_as_it_was(event: dict[str, object]) -> None:
    payload: JSON = {"a": ["{state}"]}
    render_json(payload, event)
    assert payload == {"a": ["{state}"]}


def test_the_later_of_two_keys_that_render_alike_wins(event: dict[str, object]) -> None:
    assert render_json({"{state}": 1, "Failed": 2}, event) == {"Failed": 2}


@unhurried
@given(ANY_JSON)
def test_any_payload_renders_or_is_a_template_error(payload: JSON) -> None:
    event = sample_event(FLOW_RUN_STATE_CHANGED)
    try:
        check_json(payload, FLOW_RUN_STATE_CHANGED, where="webhook.payload")
    except TemplateError:
        return
    render_json(payload, event)


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        ("{stat}", "webhook.payload: "),
        ({"a": [0, "{stat}"]}, "webhook.payload['a'][1]: "),
        ({"a": {"{stat}": 1}}, "webhook.payload['a']['{stat}']: "),
        ([["}"]], "webhook.payload[0][0]: "),
    ],
)
def test_a_mistake_in_a_payload_is_named_by_its_place(payload: JSON, place: str) -> None:
    with pytest.raises(TemplateError) as refused:
        check_json(payload, FLOW_RUN_STATE_CHANGED, where="webhook.payload")
    assert str(refused.value).startswith(place)


def test_a_payload_warns_once_a_name_at_its_first_place() -> None:
    payload: JSON = {"a": "{duration}", "b": ["{duration} {agent_ids}", "{agent_ids}"]}
    assert check_json(payload, FLOW_RUN_STATE_CHANGED, where="webhook.payload") == [
        "webhook.payload['a']: FlowRunStateChangedEvent has no {duration}: it stays in the text as written",
        "webhook.payload['b'][0]: FlowRunStateChangedEvent has no {agent_ids}: it stays in the text as written",
    ]


def test_a_payload_may_be_64_deep_and_no_deeper(event: dict[str, object]) -> None:
    check_json(nested(64), FLOW_RUN_STATE_CHANGED, where="webhook.payload")
    render_json(nested(64), event)
    for depth in (65, 500):
        with pytest.raises(TemplateError, match="more than 64 deep"):
            check_json(nested(depth), FLOW_RUN_STATE_CHANGED, where="webhook.payload")
        with pytest.raises(TemplateError, match="more than 64 deep"):
            render_json(nested(depth), event)


@pytest.mark.parametrize("piece", ["{", "}", "{{", "{a", "{a}", "{state}", "{state", "{a.", "\n{", "a"])
def test_megabytes_of_hostile_text_take_no_time(piece: str) -> None:
    hostile = piece * (1_000_000 // len(piece))
    started = time.perf_counter()
    assert render("{state} {state_message}", {"state": hostile, "state_message": hostile}) == f"{hostile} {hostile}"
    for template in (hostile, "{" + hostile, hostile + "}"):
        try:
            check(template, FLOW_RUN_STATE_CHANGED, where=WHERE)
        except TemplateError as error:
            assert len(str(error)) < 1_000  # noqa: PT017 - some of these are templates
    # Milliseconds each; what is not linear would take minutes.
    assert time.perf_counter() - started < 20


def test_long_templates_render_as_short_ones_do(event: dict[str, object]) -> None:
    assert render("{state}" * 5_000, event) == "Failed" * 5_000
