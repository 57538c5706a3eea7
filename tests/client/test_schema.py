"""The client's classes agree with schema.graphql, and it needs nothing of the server."""

import subprocess
import sys
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from graphql import GraphQLNonNull, GraphQLObjectType, build_schema, get_named_type

from automations.client import Action, Attempt, Automation, Delivery, Firing, Preview, Saved, Trial

ROOT = Path(__file__).parent.parent.parent
SCHEMA = build_schema((ROOT / "schema.graphql").read_text())
TYPES = {
    Action: "action",
    Attempt: "attempt",
    Automation: "automation",
    Delivery: "delivery",
    Firing: "firing",
    Preview: "preview_message_payload",
    Saved: "saved_payload",
    Trial: "test_payload",
}
SCALARS = {"uuid": str, "UUID": str, "String": str, "Int": int, "Boolean": bool, "timestamptz": datetime}


@pytest.mark.parametrize("row", TYPES, ids=lambda row: row.__name__)
def test_fields_are_those_of_the_schema(row: Any) -> None:
    type_ = SCHEMA.type_map[TYPES[row]]
    assert isinstance(type_, GraphQLObjectType)
    hints = get_type_hints(row)
    for item in fields(row):
        field = type_.fields[item.name]
        scalar = SCALARS.get(get_named_type(field.type).name)
        if get_origin(hints[item.name]) in {None, UnionType} and scalar is not None:
            expected = {scalar} if isinstance(field.type, GraphQLNonNull) else {scalar, NoneType}
            assert set(get_args(hints[item.name]) or [hints[item.name]]) == expected, item.name


def test_client_imports_nothing_of_the_server() -> None:
    code = "import automations.client, sys; print(*(name for name in sys.modules if name.startswith('automations')))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in printed if name != "automations" and not name.startswith("automations.client")] == []
