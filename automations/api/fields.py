"""Ways of declaring what strawberry builds on that keep Python's types, and leave the schema as one would write it."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, TypeVar

import strawberry
from strawberry.types.unset import UNSET

_Resolver = TypeVar("_Resolver", bound=Callable[..., Any])


def resolved(description: str) -> Callable[[_Resolver], _Resolver]:
    """Make a method a field of the type it stands in."""
    decorator: Callable[[_Resolver], _Resolver] = strawberry.field(description=description)
    return decorator


def mutation(description: str) -> Callable[[_Resolver], _Resolver]:
    """Make a method a mutation."""
    decorator: Callable[[_Resolver], _Resolver] = strawberry.mutation(description=description)
    return decorator


def optional(description: str) -> Any:
    """An input field that may be left out: None in Python, and no `= null` in the schema."""
    field = strawberry.field(default=None, description=description)
    field.default_value = UNSET
    return field


def enum(name: str, values: Iterable[str], description: str) -> Any:
    """An enum of these names."""
    made: Any = StrEnum(name, {value: value for value in values})  # type: ignore[misc]
    return strawberry.enum(made, name=name, description=description)
