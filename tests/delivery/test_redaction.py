"""No secret stays in what the ledger keeps, in whatever form it came back, and PostgreSQL can store all of it."""

import base64
from typing import Any
from urllib.parse import quote, quote_plus

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.delivery.redaction import ANSWER_CHARACTERS, REQUEST_CHARACTERS, Redaction
from automations.http.client import KEPT_BYTES

TOKEN = 'tök/en "+ 42&<>=?\\%'
URL = "https://hooks.example.com/services/T0123/B0123/abcdefghijklmnop?sig=qrstuvwxyz0123456789%2F&v=1"

texts = st.text(st.characters(codec="utf-8"))
secrets = st.text(st.characters(codec="utf-8"), min_size=12, max_size=40).filter(lambda text: len(text.strip()) >= 12)


@pytest.mark.parametrize(
    "form",
    [
        TOKEN,
        orjson.dumps({"token": TOKEN}).decode(),
        quote(TOKEN, safe=""),
        quote_plus(TOKEN),
        base64.b64encode(f"me:{TOKEN}".encode()).decode(),
        base64.b64encode(f"myself:{TOKEN}!".encode()).decode(),
        base64.b64encode(f"AC:{TOKEN}".encode()).decode(),
    ],
)
def test_secret_is_replaced_by_its_name_in_every_form(form: str) -> None:
    told = Redaction({"TWILIO": TOKEN}).text(f"before {form} after")
    assert "[secret TWILIO]" in told
    assert TOKEN not in told
    assert "tök" not in told
    assert base64.b64encode(TOKEN.encode()).decode()[4:-4] not in told
    assert told.startswith("before ")
    assert told.endswith(" after")


@pytest.mark.parametrize(
    "part",
    [
        URL,
        f" {URL}",
        "/services/T0123/B0123/abcdefghijklmnop?sig=qrstuvwxyz0123456789%2F&v=1",
        "/services/T0123/B0123/abcdefghijklmnop",
        "abcdefghijklmnop",
        "qrstuvwxyz0123456789/",
    ],
)
def test_telling_part_of_a_secret_url_is_replaced(part: str) -> None:
    told = Redaction({"SLACK": f"{URL}\n"}).text(f"POST {part}: no such hook")
    assert "abcdefghijklmnop" not in told
    assert "qrstuvwxyz0123456789" not in told
    assert told.endswith(": no such hook")


def test_place_of_a_secret_url_may_be_told() -> None:
    told = Redaction({"SLACK": URL}).text("hooks.example.com:443 did not answer")
    assert told == "hooks.example.com:443 did not answer"


def test_every_key_of_a_rotation_and_every_value_of_an_object_is_replaced() -> None:
    redaction = Redaction(
        {"KEYS": "whsec_aaaaaaaaaaaa whsec_bbbbbbbbbbbb", "LOGIN": '{"user":"me","password":"xyzzy"}'}
    )
    assert redaction.text("whsec_bbbbbbbbbbbb") == "[secret KEYS]"
    assert redaction.text("xyzzy") == "[secret LOGIN]"


def test_longer_secret_is_replaced_before_one_that_is_part_of_it() -> None:
    assert Redaction({"A": "abcd", "B": "abcdefgh"}).text("abcdefgh abcd") == "[secret B] [secret A]"


def test_words_of_every_day_are_left() -> None:
    assert Redaction({"SHORT": "ok", "EMPTY": "", "BLANK": "   "}).text("ok then") == "ok then"


@given(st.lists(secrets, min_size=1, max_size=4), st.lists(st.one_of(texts, st.sampled_from(range(4))), max_size=8))
def test_no_secret_is_left_in_any_text(values: list[str], parts: list[Any]) -> None:
    text = "".join(values[part % len(values)] if isinstance(part, int) else part for part in parts)
    told = Redaction({str(number): value for number, value in enumerate(values)}).text(text)
    assert not any(value in told for value in values)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    ),
    st.sampled_from(["true", "null", "12345", '":"', "}]}]", "\\u0000", "aaaa"]),
)
def test_recorded_request_is_always_json(request: Any, secret: str) -> None:
    told = Redaction({'na"me': secret}).request({"body": request})
    assert told is not None
    assert isinstance(orjson.loads(told), dict)
    assert "\\u0000" not in told.replace("\\\\", "")


def test_request_keeps_what_is_not_secret() -> None:
    request = {"body": {"n": 1, "ok": True, "text": "\\u0000 a\0b", "secret": "xyzzy"}, "headers": {"x-xyzzy": ("a",)}}
    told = Redaction({"WORD": "xyzzy"}).request(request)
    assert orjson.loads(told or "") == {
        "body": {"n": 1, "ok": True, "text": "\\u0000 a\ufffdb", "secret": "[secret WORD]"},
        "headers": {"x-[secret WORD]": ["a"]},
    }
    assert Redaction({}).request(None) is None


def test_long_request_is_cut_and_still_json() -> None:
    told = Redaction({}).request({"body": 'x"' * REQUEST_CHARACTERS})
    assert len(orjson.loads(told or "")["cut"]) == REQUEST_CHARACTERS


@given(st.binary(max_size=6000))
def test_any_answer_can_be_stored(body: bytes) -> None:
    told = Redaction({"WORD": "xyzzy"}).answer(body[:KEPT_BYTES])
    assert "\0" not in told
    assert len(told) <= ANSWER_CHARACTERS
    told.encode()


@pytest.mark.parametrize("seen", range(4, 20))
def test_beginning_of_a_secret_at_the_cut_is_replaced(seen: int) -> None:
    secret = "abcdefghijklmnopqrst"
    body = (b"." * (KEPT_BYTES - seen) + secret.encode())[:KEPT_BYTES]
    told = Redaction({"WORD": secret}).answer(body)
    assert "abcd" not in told
    assert told.strip(".") == "[secret WORD]"[: len(told.strip("."))]


def test_end_of_an_answer_that_was_not_cut_is_left() -> None:
    assert Redaction({"WORD": "abcdefghijklmnopqrst"}).answer(b"it ends with abcd") == "it ends with abcd"


def test_half_a_surrogate_pair_can_be_stored() -> None:
    assert Redaction({}).text("a\ud800b") == "a?b"
