"""What is wrong with files: gathered first, and told all at once, each with its place."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file, from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class FileProblems(ValueError):
    """Files that cannot be used; the text has a line for each problem."""


def require_known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """FileProblems for something of a newer server: leaving it out would lose it."""
    if unknown := sorted(set(given) - set(known)):
        raise FileProblems(f"The server has {what}{unknown[0]}, which this version does not know: upgrade it.")


class Problems:
    """The problems found so far."""

    def __init__(self) -> None:
        self._found: set[tuple[Place, str]] = set()

    def add(self, place: Place, text: str) -> None:
        """Keep one, told in a sentence."""
        self._found.add((place, text))

    def check(self) -> None:
        """Raise FileProblems with all of them, in the order of their lines, if there are any."""
        if self._found:
            raise FileProblems("\n".join(f"{place}: {text}" for place, text in sorted(self._found)))


def suggestion(text: str, known: Iterable[str]) -> str:
    """Did you mean …?, with a blank before it, or nothing."""
    near = get_close_matches(text[:100], list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""
