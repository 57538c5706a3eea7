"""Which media type an answer has: what the Accept header asks for, of those that are spoken here."""

from functools import lru_cache

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"

_BY_RANGE = {
    GRAPHQL_JSON: (GRAPHQL_JSON, 4),
    EVENT_STREAM: (EVENT_STREAM, 3),
    JSON: (JSON, 2),
    "application/*": (JSON, 1),
    "text/*": (EVENT_STREAM, 0),
    "*/*": (JSON, 1),
}
"""Media range → the type that it gets, and what goes first where a client likes several equally."""


@lru_cache(maxsize=200)
def answer_type(accept: str) -> str | None:
    """The type to answer with, None where the client takes none of them. Without a header it is JSON."""
    if not accept.strip():
        return JSON
    liked = max(
        ((quality, rank, type_) for range_ in accept.split(",") for quality, rank, type_ in _read(range_)),
        default=None,
    )
    return liked[2] if liked is not None else None


@lru_cache(maxsize=200)
def is_json_in_utf8(content_type: str) -> bool:
    """Whether a body of this Content-Type is read: a browser's form can post none that is."""
    name, *parameters = content_type.lower().split(";")
    charsets = [value.strip(' "') for key, _, value in (item.partition("=") for item in parameters) if "charset" in key]
    return name.strip() == JSON and all(charset in {"utf-8", "utf8"} for charset in charsets)


def _read(range_: str) -> list[tuple[float, int, str]]:
    name, *parameters = (part.strip().lower() for part in range_.split(";"))
    if name not in _BY_RANGE:
        return []
    quality = next((_quality(item[2:]) for item in parameters if item.startswith("q=")), 1.0)
    type_, rank = _BY_RANGE[name]
    return [(quality, rank, type_)] if quality > 0 else []


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0
