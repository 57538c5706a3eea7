"""What the ledger and the log keep of an attempt: texts that PostgreSQL can store, in which no secret stands."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

import orjson

from automations.http.client import KEPT_BYTES

ANSWER_CHARACTERS = 4096
REQUEST_CHARACTERS = 16_384
# Shorter ones would be found in every other word.
_SHORTEST = 4
_SHORTEST_PART = 12


class Redaction:
    """Replaces every form of every secret by the secret's name."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        forms = {form: name for name, value in secrets.items() for form in _forms(value) if len(form) >= _SHORTEST}
        # The longest first: one may be part of another.
        self._forms = sorted(forms.items(), key=lambda item: len(item[0]), reverse=True)

    def text(self, text: str) -> str:
        """The text without secrets, and without what PostgreSQL refuses."""
        for form, name in self._forms:
            text = text.replace(form, f"[secret {name}]")
        return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()

    def request(self, request: Any) -> str | None:
        """What was sent, as JSON for the ledger, cut where it is long."""
        if request is None:
            return None
        text = orjson.dumps(self._json(request), default=str).decode()
        return text if len(text) <= REQUEST_CHARACTERS else orjson.dumps({"cut": text[:REQUEST_CHARACTERS]}).decode()

    def answer(self, body: bytes) -> str:
        """The first 4 KB of an answer."""
        text = body.decode(errors="replace")
        return self.text(self._without_beginnings(text) if len(body) >= KEPT_BYTES else text)[:ANSWER_CHARACTERS]

    def _json(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._json(item) for item in value]
        return value

    def _without_beginnings(self, text: str) -> str:
        """A text that was cut may end inside a secret."""
        for form, name in self._forms:
            for length in range(min(len(form) - 1, len(text)), _SHORTEST - 1, -1):
                if text.endswith(form[:length]):
                    return f"{text[:-length]}[secret {name}]"
        return text


def _forms(value: str) -> Iterator[str]:
    """How a secret may stand in a text: as it is, in JSON, a URL, a form or Base64; and so may its telling parts."""
    for whole in {value, *_parts(value.strip())}:
        yield whole
        yield orjson.dumps(whole).decode()[1:-1]
        yield quote(whole, safe="")
        yield quote_plus(whole)
        yield from _inside_base64(whole.encode())


def _parts(value: str) -> Iterator[str]:
    """A receiver sees of a URL its path only, and each of several keys or of an object's values by itself."""
    yield value
    yield from (part for part in value.split() if len(part) >= _SHORTEST_PART)
    with suppress(orjson.JSONDecodeError):
        yield from _strings(orjson.loads(value))
    with suppress(ValueError):
        url = urlsplit(value)
        if url.scheme and url.netloc:
            target = value.partition(url.netloc)[2]
            told = (*url.path.split("/"), *(text for _, text in parse_qsl(url.query)))
            yield from (part for part in (target, url.path) if len(part) > 1)
            yield from (part for part in told if len(part) >= _SHORTEST_PART)


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict | list):
            waiting.extend(item.values() if isinstance(item, dict) else item)


def _inside_base64(value: bytes) -> Iterator[str]:
    """What is certain to stand in the Base64 of any text that holds the value, such as `user:password`."""
    if len(value) >= _SHORTEST_PART:
        for before in range(3):
            encoded = base64.b64encode(b"\0" * before + value).decode()
            start = (before * 8 + 5) // 6
            yield encoded[start : (before + len(value)) * 8 // 6]
