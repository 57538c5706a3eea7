"""Templates of messages, subjects and webhook payloads: `{attribute}` stands for an attribute of the event.

Pure, and small on purpose: people's templates meet other people's values here, so there is no attribute access, no
index, no conversion and no format, `str.format` is never used, and a value is never read as a template.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, TypeAlias

from automations.events import ATTRIBUTE_ALIASES, EVENT_TYPES, EventType

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"

# A longer template is parsed each time, so that nobody can fill the memory with long ones.
_CACHED_TEMPLATES: Final = 1024
_CACHED_CHARACTERS: Final = 4096
# A payload deeper than the stack would end in a RecursionError.
_DEPTH_LIMIT: Final = 64
_QUOTED_CHARACTERS: Final = 40

# Doubled braces come first, so that {{{state}}} is a brace, the state and a brace. A brace that starts none of these
# is a mistake, which stops the reading: that keeps it linear.
_TOKEN: Final = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<mistake>[{}])")


class TemplateError(ValueError):
    """A template that cannot be saved; the text says where the mistake is and what to write instead."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    position: int


_Parts: TypeAlias = tuple[str | _Field, ...]


def fields(template: str) -> tuple[str, ...]:
    """Return the names a template uses, each once, in order of appearance; raise TemplateError for bad syntax."""
    return tuple(dict.fromkeys(part.name for part in _parts(template) if isinstance(part, _Field)))


def unknown_fields(template: str, event_type: EventType) -> list[str]:
    """Return the names in a template that stay as written for such an event; raise TemplateError for bad syntax."""
    known = _names(event_type)
    return [name for name in fields(template) if name not in known]


def check(template: str, event_type: EventType, *, where: str) -> list[str]:
    """Check a template before it is saved, and return warnings for names only another event has.

    `where` names the configuration field in the texts, such as "slack_notification.message". Raise TemplateError for
    bad syntax and for a name that no event has.
    """
    return list(_warnings(template, event_type, where).values())


def check_json(value: JSON, event_type: EventType, *, where: str) -> list[str]:
    """Check every key and string of a payload as `check` does, with one warning a name.

    Raise TemplateError also for a payload nested more than 64 deep.
    """
    warnings: dict[str, str] = {}
    for place, template in _templates(value, where):
        for name, warning in _warnings(template, event_type, place).items():
            warnings.setdefault(name, warning)
    return list(warnings.values())


def render(template: str, event: Mapping[str, object]) -> str:
    """Put the event's values into a template, in time linear in the result; raise TemplateError for bad syntax.

    A name the event lacks stays as written. None is empty, a list or an object is compact JSON, a time is ISO 8601.
    """
    return "".join(part if isinstance(part, str) else _rendered(part.name, event) for part in _parts(template))


def render_json(value: JSON, event: Mapping[str, object]) -> JSON:
    """Return a copy of a payload with every key and string rendered.

    A string stays a string, also where it is one field only: "{duration_seconds}" gives "600". Where two keys of an
    object render alike, the later one wins. Raise TemplateError for bad syntax or for nesting more than 64 deep.
    """
    return _rendered_json(value, event, depth=0)


def _parts(template: str) -> _Parts:
    return _parse_cached(template) if len(template) <= _CACHED_CHARACTERS else _parse(template)


def _parse(template: str) -> _Parts:
    parts: list[str | _Field] = []
    end = 0
    for token in _TOKEN.finditer(template):
        if token.start() > end:
            parts.append(template[end : token.start()])
        if token["brace"]:
            parts.append(token["brace"][0])
        elif token["name"]:
            parts.append(_Field(token["name"], token.start()))
        else:
            raise TemplateError(_explain_mistake(template, token.start()))
        end = token.end()
    if end < len(template):
        parts.append(template[end:])
    return tuple(parts)


_parse_cached = lru_cache(maxsize=_CACHED_TEMPLATES)(_parse)


def _explain_mistake(template: str, position: int) -> str:
    place = _place(template, position)
    if template[position] == "}":
        return f"the }} at {place} closes nothing: write }}}} for a brace, or put {{ before the attribute's name"
    inside, closing, _ = template[position + 1 :].partition("}")
    if not closing or "{" in inside:
        return f"the {{ at {place} is not closed: write {{{{ for a brace, or put }} after the attribute's name"
    written = _quoted(f"{{{inside}}}")
    # What stands between words shows what was meant: {flow.name}, { state }, {state!r}.
    meant = re.sub(r"\W+", "_", inside[:_QUOTED_CHARACTERS]).strip("_")
    nearest = _nearest(meant, _all_names())
    return (
        f"{written} at {place} is not the name of an attribute: only a name may stand between {{ and }}, "
        f"without spaces, dots, indexes or formats; write {{{{ and }}}} for braces{_suggestion(nearest)}"
    )


def _explain_unknown(template: str, field: _Field, event_type: EventType) -> str:
    names = _names(event_type)
    nearest = _nearest(field.name, names)
    advice = _suggestion(nearest) or f"; {event_type.name} has {', '.join(names)}"
    return f"no event has the attribute {_quoted(field.name)} at {_place(template, field.position)}{advice}"


def _suggestion(names: list[str]) -> str:
    return f"; did you mean {' or '.join(f'{{{name}}}' for name in names)}?" if names else ""


def _nearest(name: str, names: tuple[str, ...]) -> list[str]:
    return get_close_matches(name[:_QUOTED_CHARACTERS].lower(), names, n=3)


def _place(template: str, position: int) -> str:
    line = template.count("\n", 0, position) + 1
    character = position - template.rfind("\n", 0, position)
    return f"line {line}, character {character}" if "\n" in template else f"character {character}"


def _quoted(text: str) -> str:
    # repr escapes what would break a log line or an answer: control characters, halves of surrogate pairs.
    return repr(text if len(text) <= _QUOTED_CHARACTERS else f"{text[:_QUOTED_CHARACTERS]}…")


@lru_cache
def _names(event_type: EventType) -> tuple[str, ...]:
    aliases = (alias for alias, attribute in ATTRIBUTE_ALIASES.items() if attribute in event_type.attributes)
    return (*event_type.attributes, *aliases)


@lru_cache
def _all_names() -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for event_type in EVENT_TYPES.values() for name in _names(event_type)))


def _warnings(template: str, event_type: EventType, where: str) -> dict[str, str]:
    """Return a warning for each name that only another event has."""
    try:
        parts = _parts(template)
    except TemplateError as error:
        raise TemplateError(f"{where}: {error}") from None
    warnings = {}
    for field in (part for part in parts if isinstance(part, _Field)):
        if field.name not in _all_names():
            raise TemplateError(f"{where}: {_explain_unknown(template, field, event_type)}")
        if field.name not in _names(event_type):
            warnings[field.name] = (
                f"{where}: {event_type.name} has no {{{field.name}}}: it stays in the text as written"
            )
    return warnings


def _templates(value: JSON, where: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield each key and string of a payload behind the place where it stands."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        _refuse_depth(depth, where)
        for key, item in value.items():
            place = f"{where}[{_quoted(key)}]"
            yield place, key
            yield from _templates(item, place, depth + 1)
    elif isinstance(value, list):
        _refuse_depth(depth, where)
        for index, item in enumerate(value):
            yield from _templates(item, f"{where}[{index}]", depth + 1)


def _rendered_json(value: JSON, event: Mapping[str, object], depth: int) -> JSON:
    if isinstance(value, str):
        return render(value, event)
    if isinstance(value, dict):
        _refuse_depth(depth, "payload")
        return {render(key, event): _rendered_json(item, event, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        _refuse_depth(depth, "payload")
        return [_rendered_json(item, event, depth + 1) for item in value]
    return value


def _refuse_depth(depth: int, where: str) -> None:
    if depth >= _DEPTH_LIMIT:
        raise TemplateError(f"{where}: nested more than {_DEPTH_LIMIT} deep; make it flatter")


def _rendered(name: str, event: Mapping[str, object]) -> str:
    attribute = name if name in event else ATTRIBUTE_ALIASES.get(name, name)
    return _text(event[attribute]) if attribute in event else f"{{{name}}}"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool | list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_text)
    return str(value)
