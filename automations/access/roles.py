"""Roles, and the sets of them that tables and mutations name."""

from enum import StrEnum
from typing import Final, TypeAlias


class Role(StrEnum):
    """What an API key is for."""

    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"
    AGENT = "agent"


Roles: TypeAlias = frozenset[Role]

ADMINS: Final[Roles] = frozenset({Role.ADMIN})
EDITORS: Final[Roles] = ADMINS | {Role.EDITOR}
VIEWERS: Final[Roles] = EDITORS | {Role.VIEWER}
AGENTS: Final[Roles] = EDITORS | {Role.AGENT}
"""Reporting on runs: agents and flow runs do, and people who help them."""
RUNS: Final[Roles] = frozenset({Role.AGENT})
"""What flow runs do and no person: reading values of secrets."""
EVERYBODY: Final[Roles] = VIEWERS | {Role.AGENT}


def named(roles: Roles) -> str:
    """The roles in a sentence, the least of them first: `editor or admin`."""
    names = [role.value for role in reversed(Role) if role in roles]
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
