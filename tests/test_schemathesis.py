"""Each operation of the schema as schemathesis would call it: answered or refused, and never our fault."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from tests.harness import Automations
from tests.test_bad_input import SCALARS, send

OF_THE_LANGUAGE = {"String"}
for scalar in SCALARS.keys() - OF_THE_LANGUAGE:
    schemathesis.graphql.scalar(scalar, SCALARS[scalar])

SCHEMA = schemathesis.graphql.from_path(Path(__file__).parents[1] / "schema.graphql")
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)]

few = settings(max_examples=2, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)


def test_every_operation_is_called() -> None:
    fields = [f"{root}.{name}" for root in ("Query", "Mutation") for name in SCHEMA[root]]
    assert {operation.label for operation in OPERATIONS} == set(fields)
    assert len(fields) > 100


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
@few
@given(data=st.data())
async def test_operation_is_answered_or_refused(
    shared_server: Automations, operation: Any, data: st.DataObject
) -> None:
    await send(shared_server, data.draw(operation.as_strategy()).body)
