"""`server_problem`: something is wrong with the server itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from uuid import UUID

from automations.database import Connection
from automations.definitions.triggers.contract import Trigger
from automations.errors import InvalidInput
from automations.events import SERVER_PROBLEM
from automations.health import PROBLEMS


@dataclass(frozen=True)
class ServerProblem(Trigger):
    """Any of these problems (empty: all, those that later versions know of too)."""

    EVENT_TYPE: ClassVar = SERVER_PROBLEM

    problems: tuple[str, ...] = ()

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        problems: Sequence[str] = fields.get("problems") or ()
        for problem in problems:
            if problem not in PROBLEMS:
                raise InvalidInput(f"There is no problem {problem[:50]!r}; there are {', '.join(PROBLEMS)}.")
        return cls(problems=tuple(dict.fromkeys(problems)))

    @property
    def event(self) -> dict[str, Any]:
        return {"problems": list(self.problems)} if self.problems else {}

    @property
    def tags(self) -> dict[str, list[str]]:
        return {"problem": list(self.problems)} if self.problems else {}

    @property
    def sentence(self) -> str:
        if not self.problems:
            return "The server has a problem"
        return f"The server has a problem: {' or '.join(PROBLEMS[problem] for problem in self.problems)}"

    @property
    def event_attributes(self) -> dict[str, Any]:
        if not self.problems:
            return {}
        first = self.problems[0]
        return {"problem": first, "problem_message": f"{PROBLEMS[first].capitalize()}.", "affected": []}

    async def check(self, connection: Connection, tenant_id: UUID) -> None:
        """There is nothing to look up."""

    async def write_rules(self, connection: Connection, tenant_id: UUID, automation_id: UUID, *, enabled: bool) -> None:
        """There are no rules: whoever looks for problems reads the automations, which are few."""

    async def clear_rules(self, connection: Connection, tenant_id: UUID, automation_id: UUID) -> None:
        """There are no rules."""
