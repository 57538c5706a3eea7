"""Reads: one SQL statement a root field, whose answer is held against plain Python's."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automations.database import Connection, Database
from tests.api import queries
from tests.api.conftest import Seeded
from tests.api.second_opinion import COLUMNS, Asked, as_json
from tests.harness import Automations, GraphQLError

explored = settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def _unordered(rows: list[Any], asked: Asked) -> list[Any]:
    """The rows in an order of our own wherever the query gave none."""
    for row in rows:
        for key, (_, inner) in asked.related.items():
            if isinstance(row[key], list):
                row[key] = _unordered(row[key], inner)
    return rows if queries.is_ordered(asked.arguments) else sorted(rows, key=orjson.dumps)


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The SQL that requests run meanwhile."""
    seen: list[str] = []
    connect = Database.connection

    @asynccontextmanager
    async def logged(self: Database) -> AsyncIterator[Connection]:
        async with connect(self) as connection:
            with connection.query_logger(lambda record: seen.append(record.query)):
                yield connection

    with monkeypatch.context() as patch:
        patch.setattr(Database, "connection", logged)
        yield seen


@explored
@given(data=st.data())
async def test_list_is_what_python_finds(seeded: Seeded, data: st.DataObject) -> None:
    asked = data.draw(queries.asked(data.draw(st.sampled_from(list(COLUMNS))), seeded.ids))
    answer = await seeded.api.execute(f"{{ rows: {queries.text_of(asked)} }}")
    assert _unordered(answer["rows"], asked) == _unordered(seeded.world.answer(asked), asked)


@explored
@given(data=st.data())
async def test_arguments_in_variables_mean_the_same_as_literals(seeded: Seeded, data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(list(COLUMNS)))
    asked = Asked(table, data.draw(queries.arguments(table, seeded.ids)), {"id": "id"})
    answer = await seeded.api.execute(
        f"query($where: {table}_bool_exp, $order: [{table}_order_by!], $limit: Int, $offset: Int,"
        f" $distinct: [{table}_select_column!]) {{ rows: {table}"
        "(where: $where, order_by: $order, limit: $limit, offset: $offset, distinct_on: $distinct) { id } }",
        where=queries.variables_of(asked.arguments.get("where")),
        order=asked.arguments.get("order_by"),
        limit=asked.arguments.get("limit"),
        offset=asked.arguments.get("offset"),
        distinct=asked.arguments.get("distinct_on"),
    )
    assert _unordered(answer["rows"], asked) == _unordered(seeded.world.answer(asked), asked)


@explored
@given(data=st.data())
async def test_aggregate_is_what_python_counts(seeded: Seeded, data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(list(COLUMNS)))
    asked = Asked(table, data.draw(queries.arguments(table, seeded.ids)), {"id": "id"})
    counted = data.draw(st.lists(st.sampled_from(list(COLUMNS[table])), min_size=1, max_size=2, unique=True))
    extremes = [name for name, type_ in COLUMNS[table].items() if type_ in {"text", "integer", "timestamptz"}]
    text = queries.text_of(asked).removesuffix("{ id: id }").replace(table, f"{table}_aggregate", 1)
    answer = await seeded.api.execute(
        f"""{{ found: {text} {{
            aggregate {{
                count all: count(columns: [{" ".join(counted)}])
                different: count(columns: [{" ".join(counted)}], distinct: true)
                min {{ {" ".join(extremes)} }} max {{ {" ".join(extremes)} }}
            }}
            nodes {{ id: id }}
        }} }}"""
    )
    rows = seeded.world.found(table, asked.arguments)
    tuples = [tuple(orjson.dumps(as_json(row[name])) for name in counted) for row in rows]
    full = [values for values in tuples if b"null" not in values]
    given_values = {name: [row[name] for row in rows if row[name] is not None] for name in extremes}
    assert answer["found"]["aggregate"] == {
        "count": len(rows),
        "all": len(full),
        "different": len(set(full)),
        "min": {name: as_json(min(values, default=None)) for name, values in given_values.items()},
        "max": {name: as_json(max(values, default=None)) for name, values in given_values.items()},
    }
    nodes = answer["found"]["nodes"]
    assert _unordered(nodes, asked) == _unordered(seeded.world.answer(asked), asked)
