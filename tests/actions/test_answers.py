from hypothesis import given
from hypothesis import strategies as st

from automations.actions.answers import TRANSIENT_4XX, judge, retry_after
from automations.actions.contract import Rejected, RetryLater
from automations.http import Answer

header_values = st.one_of(
    st.text(st.characters(max_codepoint=255)),
    st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d{1,3}:\d{1,3}:\d{1,3} ([A-Z]{3}|[+-]\d{1,30})"),
    st.integers().map(str),
)


@given(header_values)
def test_any_retry_after_is_read_as_seconds_or_passed_over(value: str) -> None:
    after = retry_after(Answer(429, {"retry-after": value}, b""))
    assert after is None or after >= 0


@given(st.integers(100, 999), header_values)
def test_any_status_is_judged(status: int, value: str) -> None:
    outcome: str | None = None
    try:
        judge(Answer(status, {"retry-after": value}, b""), receiver="Somebody")
    except Rejected:
        outcome = "rejected"
    except RetryLater as later:
        outcome = "unknown" if later.unknown else "not processed"
    if 200 <= status < 300:
        assert outcome is None
    elif status >= 500:
        assert outcome == "unknown"
    else:
        assert outcome == ("not processed" if status in TRANSIENT_4XX else "rejected")
