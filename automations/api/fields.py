"""Ways of declaring what strawberry builds on that keep Python's types, and leave the schema as one would write it."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, TypeVar, cast

import strawberry
from strawberry.types.unset import UNSET

from automations.access.roles import Roles
from automations.api.constants import CONSTANT
from automations.api.permissions import allow, leave_to_backend

_Resolver = TypeVar("_Resolver", bound=Callable[..., Any])


def resolved(description: str) -> Callable[[_Resolver], _Resolver]:
    """Make a method a field of the type it stands in."""
    decorator: Callable[[_Resolver], _Resolver] = strawberry.field(description=description)
    return decorator


def mutation(description: str, *, by: Roles, on_backend: bool = False) -> Callable[[_Resolver], _Resolver]:
    """Make a method a mutation that these roles may call.

    `on_backend`: it writes to the watched tables, which are only read where they are an existing backend's.
    """

    def decorate(resolver: _Resolver) -> _Resolver:
        name = f"Mutation.{resolver.__name__}"
        allow(name, by)
        if on_backend:
            leave_to_backend(name)
        field: Any = strawberry.mutation(resolver, description=description)
        return cast("_Resolver", field)

    return decorate


def query(
    name: str, resolver: Callable[..., Any], description: str, *, by: Roles, is_constant: bool = False
) -> dict[str, Any]:
    """A field of Query that these roles may ask for, by its name.

    `is_constant`: its answer is the same for everybody, and stays. Its resolver is an ordinary function.
    """
    allow(f"Query.{name}", by)
    if is_constant:
        CONSTANT.add(name)
    return {name: strawberry.field(resolver=resolver, description=description)}


def optional(description: str) -> Any:
    """An input field that may be left out: None in Python, and no `= null` in the schema."""
    field = strawberry.field(default=None, description=description)
    field.default_value = UNSET
    return field


def enum(name: str, values: Iterable[str], description: str) -> Any:
    """An enum of these names."""
    made: Any = StrEnum(name, {value: value for value in values})  # type: ignore[misc]
    return strawberry.enum(made, name=name, description=description)
