"""YAML with line numbers, both ways: text is read to values that know their places, and written from plain values.

Only what JSON has is read: no tags, no dates, and yes, no, on and off are texts (YAML 1.2). Aliases count as what they
stand for, so that a small file cannot become a large one.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from automations.files.problems import Place, Problems

MOST_CHARACTERS = 5_000_000
MOST_VALUES = 200_000
MOST_DEPTH = 50

_SCALARS: tuple[tuple[str, str, str, Callable[[str], Any]], ...] = (
    ("tag:yaml.org,2002:null", r"(?:~|null|Null|NULL|)$", "~nN", lambda _: None),
    ("tag:yaml.org,2002:bool", r"(?:true|True|TRUE|false|False|FALSE)$", "tTfF", lambda text: text.lower() == "true"),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+$", "-+0123456789", int),
    ("tag:yaml.org,2002:float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789", float),
)
_FOLDED = frozenset("\x85\u2028\u2029")  # ends of lines too, which PyYAML writes as they are and reads as blanks
_READ = {tag: read for tag, _, _, read in _SCALARS}
_TEXT, _LIST, _MAP = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


class _Loader(yaml.SafeLoader):
    """Reads with the forms of scalars above and no others."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - as in the class above it


class _Dumper(yaml.SafeDumper):
    """Writes so that `_Loader` reads the same; texts of several lines as such."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - as in the class above it

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


for _tag, _pattern, _first, _ in _SCALARS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_tag, re.compile(_pattern), [*_first, *([""] if "null" in _tag else [])])


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    if _FOLDED.intersection(text):
        return dumper.represent_scalar(_TEXT, text, style='"')
    return dumper.represent_scalar(_TEXT, text, style="|" if "\n" in text.strip("\n") else None)


_Dumper.add_representer(str, _represent_text)


@dataclass(frozen=True)
class Value:
    """A value and where it stands: a scalar, a list of values, or a mapping of texts to values."""

    value: Any
    place: Place

    @property
    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: item.plain for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain for item in self.value]
        return self.value


def load(text: str, file: str, problems: Problems) -> Value | None:
    """The document of a text; None where it cannot be read, which is then among the problems."""
    if len(text) > MOST_CHARACTERS:
        problems.add(Place(file, 1), f"The file has {len(text)} characters; {MOST_CHARACTERS} are the most.")
        return None
    try:
        node = yaml.compose(text, Loader=_Loader)
        return Value(None, Place(file, 1)) if node is None else _Reader(file, problems).read(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problems.add(Place(file, mark.line + 1 if mark else 1), f"This is not YAML: {error.problem or error.context}.")
    except yaml.YAMLError as error:
        problems.add(Place(file, 1), f"This is not YAML: {' '.join(str(error).split())}.")
    except RecursionError:
        problems.add(Place(file, 1), f"The file is nested too deeply; {MOST_DEPTH} levels are the most.")
    except _TooMuch as error:
        problems.add(Place(file, 1), str(error))
    return None


def dump(value: Any) -> str:
    """A plain value as YAML; `load` reads the same from it."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))


class _TooMuch(Exception):
    """The aliases of a file make too much of it."""


class _Reader:
    """Makes values of YAML's nodes."""

    def __init__(self, file: str, problems: Problems) -> None:
        self._file, self._problems, self._count = file, problems, 0

    def read(self, node: yaml.Node, depth: int = 0) -> Value:
        self._count += 1
        if depth > MOST_DEPTH:
            raise _TooMuch(f"The file is nested too deeply; {MOST_DEPTH} levels are the most.")
        if self._count > MOST_VALUES:
            raise _TooMuch(f"The file has more than {MOST_VALUES} values, aliases included.")
        place = Place(self._file, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode) and node.tag == _MAP:
            return Value(self._mapping(node, depth), place)
        if isinstance(node, yaml.SequenceNode) and node.tag == _LIST:
            return Value([self.read(item, depth + 1) for item in node.value], place)
        if isinstance(node, yaml.ScalarNode) and node.tag in {_TEXT, *_READ}:
            return Value(self._scalar(node, place), place)
        self._problems.add(place, f"{node.tag[:50]} is not read: write a plain value, without a tag.")
        return Value(None, place)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for key, item in node.value:
            place = Place(self._file, key.start_mark.line + 1)
            if not isinstance(key, yaml.ScalarNode) or key.tag != _TEXT:
                self._problems.add(place, "A key must be a text: write it in quotes.")
            elif key.value in found:
                self._problems.add(place, f"The key {key.value} stands here twice.")
            else:
                found[key.value] = self.read(item, depth + 1)
        return found

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        if node.tag == _TEXT:
            return node.value
        try:
            value = _READ[node.tag](node.value)
        except ValueError:  # an integer of thousands of digits, or a tag that does not fit
            value = math.inf
        if isinstance(value, float) and not math.isfinite(value):
            self._problems.add(place, f"{node.value[:50]} is not a number that JSON has.")
            return 0
        return value
