"""YAML is read to what JSON has, with places, and never to more than the file holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.files.fields import duration, duration_text
from automations.files.problems import FileProblems, Place, Problems
from automations.files.source import Value, dump, load


def read(text: str) -> Value:
    problems = Problems()
    value = load(text, "f.yaml", problems)
    problems.check()
    assert value is not None
    return value


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_what_is_written_is_read_again(value: object) -> None:
    assert read(dump(value)).plain == value


@pytest.mark.parametrize(
    "text", ["yes", "no", "on", "off", "2026-11-23", "12:30:45", "0o14", "0x1F", "1_000", ".inf", ".nan", "<<"]
)
def test_what_json_does_not_have_is_text(text: str) -> None:
    assert read(text).plain == text
    assert read(dump(text)).plain == text


def test_values_know_their_lines() -> None:
    value = read("a: 1\nb:\n  - x\n  - {c: y}\n")
    assert value.value["b"].value[1].value["c"].place == Place("f.yaml", 4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1", "f.yaml:1: This is not YAML: expected ',' or ']'"),
        ("a: 1\n\tb: 2", "f.yaml:2: This is not YAML: found character"),
        ("a: 1\na: 2", "f.yaml:2: The key a stands here twice."),
        ("1: a", "f.yaml:1: A key must be a text: write it in quotes."),
        (
            "a: !!python/object/apply:os.system [ls]",
            "f.yaml:1: tag:yaml.org,2002:python/object/apply:os.system is not read",
        ),
        ("a: !secret x", "f.yaml:1: !secret is not read"),
        ("a: 1e999", "f.yaml:1: 1e999 is not a number that JSON has."),
        ("a: " + "9" * 5000, "is not a number that JSON has."),
        ("a: 1\n--- \nb: 2", "f.yaml:2: This is not YAML: but found another document"),
        ("&a [*a]", "nested too deeply"),
        ("[" * 3000, "nested too deeply"),
        ("\x00", "This is not YAML"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(FileProblems) as refused:
        read(text)
    assert told in str(refused.value)


def test_small_file_cannot_become_a_large_one_by_aliases() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(FileProblems, match="more than 200000 values"):
        read("\n".join(lines))


@given(st.integers(1, 366 * 86_400))
def test_durations_are_read_as_they_are_written(seconds: int) -> None:
    problems = Problems()
    assert duration(Value(duration_text(seconds), Place("f", 1)), "x", problems) == seconds
    problems.check()


@pytest.mark.parametrize(("text", "seconds"), [("1h30m", 5400), ("7d", 604_800), ("90", 90), ("1d1h1m1s", 90_061)])
def test_durations_have_units_or_are_seconds(text: str, seconds: int) -> None:
    assert duration(read(text), "x", Problems()) == seconds


@pytest.mark.parametrize("text", ["'90'", "1m1h", "1.5h", "true", "''", "-5m", "[5m]", "10 m"])
def test_what_is_no_duration_is_told(text: str) -> None:
    problems = Problems()
    assert duration(read(text), "x", problems) is None
    with pytest.raises(FileProblems, match="x must be a duration"):
        problems.check()
