"""Every mutation and subscription has an example in the playground, and all of them fit the schema."""

from pathlib import Path

import pytest
from graphql import FieldNode, OperationDefinitionNode, OperationType, build_schema, parse, validate

from tests.harness import Automations

ROOT = Path(__file__).parents[1]
SCHEMA = build_schema((ROOT / "schema.graphql").read_text())
EXAMPLES = [
    block
    for file in sorted((ROOT / "ui" / "src" / "playground" / "examples").glob("*.graphql"))
    for block in file.read_text().strip().split("\n\n#")
]
"""As the playground takes the files apart: an operation each, below a comment that is its title."""


def operation_of(example: str) -> OperationDefinitionNode:
    [operation] = parse(f"#{example}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    return operation


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split("\n")[0].strip("# "))
def test_example_fits_the_schema(example: str) -> None:
    assert validate(SCHEMA, parse(f"#{example}")) == []


def test_every_mutation_and_subscription_has_an_example() -> None:
    assert SCHEMA.mutation_type is not None
    assert SCHEMA.subscription_type is not None
    shown = {
        selection.name.value
        for example in EXAMPLES
        if (operation := operation_of(example)).operation is not OperationType.QUERY
        for selection in operation.selection_set.selections
        if isinstance(selection, FieldNode)
    }
    assert shown == {*SCHEMA.mutation_type.fields, *SCHEMA.subscription_type.fields}


def test_names_of_examples_differ() -> None:
    names = [str(operation_of(example).name and operation_of(example).name.value) for example in EXAMPLES]  # type: ignore[union-attr]
    assert len(set(names)) == len(names)


async def test_queries_can_be_run(api: Automations) -> None:
    for example in EXAMPLES:
        if operation_of(example).operation is OperationType.QUERY:
            await api.execute(f"#{example}")
