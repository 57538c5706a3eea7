"""What files call by name and the API by id: flows, projects, agent configs, SLAs and saved actions."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from automations.files.problems import suggestion


class Unresolved(ValueError):
    """A name that means nothing, or several things; the text says what to write."""


class References:
    """The things of one kind that a server has.

    `names` are the texts that each may be called by, the shortest first, by id. One that means a single thing is its
    name; what has none is called by its id.
    """

    def __init__(self, noun: str, names: Mapping[str, Sequence[str]]) -> None:
        self.noun, self._names = noun, dict(names)
        self._ids: dict[str, list[str]] = defaultdict(list)
        for id_, texts in self._names.items():
            for text in dict.fromkeys(texts):
                self._ids[text].append(id_)

    def id_of(self, text: str) -> str:
        """The id of what a text means; Unresolved where that cannot be told. An id that is unknown stays itself."""
        found = self._ids.get(text, [])
        if len(found) > 1:
            others = ", ".join(sorted(self.text_of(id_) for id_ in found)[:5])
            raise Unresolved(f"{len(found)} {self.noun}s are called {text!r}; write one of {others}.")
        if found:
            return found[0]
        try:
            return str(UUID(text))
        except ValueError:
            raise Unresolved(f"There is no {self.noun} {text!r}.{suggestion(text, self._ids)}") from None

    def text_of(self, id_: str) -> str:
        """The shortest text that means this and nothing else."""
        return next((text for text in self._names.get(id_, ()) if self._ids[text] == [id_]), id_)


@dataclass
class Directory:
    """Everything that files refer to, by kind. `new_actions` are names that the files themselves give."""

    flows: References
    projects: References
    agent_configs: References
    slas: References
    actions: References
    new_actions: set[str] = field(default_factory=set)

    def of(self, kind: str) -> References:
        """The things of one kind."""
        found: References = getattr(self, kind)
        return found

    def canonical_action(self, text: str) -> str:
        """The text by which a saved action is called; Unresolved where there is none."""
        return text if text in self.new_actions else self.actions.text_of(self.actions.id_of(text))
