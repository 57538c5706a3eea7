"""Reads: one SQL statement a root field, whose answer is held against plain Python's."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automations.database import Connection, Database
from bench.reads import QUERIES
from tests.api import queries
from tests.api.conftest import Seeded
from tests.api.second_opinion import COLUMNS, Asked, as_json
from tests.harness import Automations, GraphQLError

explored = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])


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

    def logged(connect: Any) -> Any:
        @asynccontextmanager
        async def connected(self: Database) -> AsyncIterator[Connection]:
            async with connect(self) as connection:
                with connection.query_logger(lambda record: seen.append(record.query)):
                    yield connection

        return connected

    with monkeypatch.context() as patch:
        for name in ("connection", "reading"):
            patch.setattr(Database, name, logged(getattr(Database, name)))
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


async def test_unordered_page_has_as_many_rows_as_asked_for(seeded: Seeded) -> None:
    answer = await seeded.api.execute("{ flow_run(limit: 7, offset: 3) { id } }")
    ids = {row["id"] for row in answer["flow_run"]}
    assert len(ids) == 7
    assert ids <= {str(row["id"]) for row in seeded.world.rows["flow_run"]}


async def test_pages_of_equal_rows_do_not_overlap(seeded: Seeded) -> None:
    pages = [
        await seeded.api.execute(f"{{ flow_run(order_by: {{state: asc}}, limit: 9, offset: {at}) {{ id }} }}")
        for at in range(0, 45, 9)
    ]
    ids = [row["id"] for page in pages for row in page["flow_run"]]
    assert len(ids) == len(set(ids)) == 40


async def test_order_by_takes_one_object_or_a_list_that_counts_in_its_order(seeded: Seeded) -> None:
    answer = await seeded.api.execute(
        """{ one: flow_run(order_by: {version: desc}) { version }
             list: flow_run(order_by: [{version: desc}, {name: asc}]) { version name }
             turned: flow_run(order_by: [{name: asc_nulls_first}, {version: desc}]) { version name } }"""
    )
    assert [row["version"] for row in answer["one"]] == [row["version"] for row in answer["list"]]
    assert answer["list"] != answer["turned"]
    assert [row["name"] for row in answer["turned"]] == sorted(
        (row["name"] for row in answer["turned"]), key=lambda name: (name is not None, name)
    )


@pytest.mark.parametrize("operators", ["{_eq: null}", "{_in: null}", "{_ilike: null}", "{}", "null"])
async def test_null_and_nothing_in_a_filter_mean_no_condition(seeded: Seeded, operators: str) -> None:
    answer = await seeded.api.execute(
        f"""{{ column: flow_run(where: {{name: {operators}}}) {{ id }}
               inside: flow_run(where: {{_and: [{{}}, {{name: {operators}}}]}}) {{ id }}
               either: flow_run(where: {{_or: [{{name: {operators}}}, {{version: {{_lt: 0}}}}]}}) {{ id }}
               negated: flow_run(where: {{_not: {{name: {operators}}}}}) {{ id }} }}"""
    )
    assert {name: len(rows) for name, rows in answer.items()} == dict.fromkeys(answer, 40)


async def test_null_in_a_row_is_neither_equal_nor_different(seeded: Seeded) -> None:
    answer = await seeded.api.execute(
        """{ equal: flow_run(where: {name: {_eq: "alpha"}}) { name }
             different: flow_run(where: {name: {_neq: "alpha"}}) { name }
             negated: flow_run(where: {_not: {name: {_eq: "alpha"}}}) { name }
             outside: flow_run(where: {name: {_nin: ["alpha"]}}) { name }
             null: flow_run(where: {name: {_is_null: true}}) { name }
             given: flow_run(where: {name: {_is_null: false}}) { name } }"""
    )
    names = [row["name"] for row in seeded.world.rows["flow_run"]]
    others = sorted(name for name in names if name not in {None, "alpha"})
    assert "alpha" in names
    for key in ("different", "negated", "outside"):
        assert sorted(row["name"] for row in answer[key]) == others
    assert {row["name"] for row in answer["equal"]} == {"alpha"}
    assert {row["name"] for row in answer["null"]} <= {None}
    assert len(answer["given"]) + len(answer["null"]) == len(names)


async def test_empty_list_matches_nothing_and_empty_or_neither(seeded: Seeded) -> None:
    answer = await seeded.api.execute(
        """{ none: flow_run(where: {id: {_in: []}}) { id }
             neither: flow_run(where: {_or: []}) { id }
             every: flow_run(where: {_and: []}) { id }
             all: flow_run(where: {name: {_nin: []}}) { id } }"""
    )
    assert [len(answer[name]) for name in ("none", "neither", "every", "all")] == [0, 0, 40, 40]


async def test_missing_variables_in_a_filter_mean_no_condition(seeded: Seeded) -> None:
    document = """query($name: String, $ids: [uuid!], $state: String_comparison_exp) {
        flow_run(where: {name: {_eq: $name}, id: {_in: $ids}, state: $state}) { id } }"""
    assert len((await seeded.api.execute(document))["flow_run"]) == 40
    assert len((await seeded.api.execute(document, name=None, ids=None, state=None))["flow_run"]) == 40


async def test_single_value_stands_for_a_list_of_one(seeded: Seeded) -> None:
    run = seeded.world.rows["flow_run"][0]["id"]
    answer = await seeded.api.execute(
        f"""query($id: [uuid!], $where: flow_run_bool_exp) {{
            literal: flow_run(where: {{id: {{_in: "{run}"}}, _and: {{id: {{_eq: "{run}"}}}}}}) {{ id }}
            variable: flow_run(where: {{id: {{_in: $id}}}}, distinct_on: id) {{ id }}
            object: flow_run(where: $where) {{ id }} }}""",
        id=str(run),
        where={"_or": {"id": {"_in": str(run)}}},
    )
    assert all(rows == [{"id": str(run)}] for rows in answer.values())


async def test_relation_filter_asks_for_a_row_even_where_it_is_empty(seeded: Seeded) -> None:
    answer = await seeded.api.execute("{ flow(where: {flow_runs: {}}) { id flow_runs { id } } without: flow { id } }")
    assert 0 < len(answer["flow"]) < len(answer["without"])
    assert all(row["flow_runs"] for row in answer["flow"])


async def test_filter_goes_through_relations_in_both_directions(seeded: Seeded) -> None:
    project = seeded.world.rows["project"][0]["id"]
    answer = await seeded.api.execute(
        f"""{{ down: project(where: {{flows: {{flow_runs: {{version: {{_eq: 2}}}}}}}}) {{ id }}
               up: flow_run_state(where: {{flow_run: {{flow: {{project: {{id: {{_eq: "{project}"}}}}}}}}}})
               {{ flow_run {{ flow {{ project_id project {{ id }} }} }} }} }}"""
    )
    flows = {row["id"]: row["project_id"] for row in seeded.world.rows["flow"]}
    expected = {str(flows[row["flow_id"]]) for row in seeded.world.rows["flow_run"] if row["version"] == 2}
    assert {row["id"] for row in answer["down"]} == expected
    assert answer["up"]
    for row in answer["up"]:
        assert row["flow_run"]["flow"] == {"project_id": str(project), "project": {"id": str(project)}}


async def test_distinct_on_must_lead_order_by(seeded: Seeded) -> None:
    with pytest.raises(GraphQLError, match="order_by must begin with the columns of distinct_on") as caught:
        await seeded.api.execute("{ flow_run(distinct_on: state, order_by: {name: asc}) { id } }")
    assert caught.value.code == "BAD_USER_INPUT"


async def test_distinct_on_keeps_the_first_of_each(seeded: Seeded) -> None:
    answer = await seeded.api.execute(
        """{ newest: flow_run(distinct_on: [flow_id], order_by: [{flow_id: asc}, {version: desc}]) { flow_id version }
             flow_run_aggregate(distinct_on: flow_id) { aggregate { count } } }"""
    )
    best: dict[str, int] = {}
    for row in seeded.world.rows["flow_run"]:
        best[str(row["flow_id"])] = max(row["version"], best.get(str(row["flow_id"]), 0))
    assert {row["flow_id"]: row["version"] for row in answer["newest"]} == best
    assert answer["flow_run_aggregate"]["aggregate"]["count"] == len(best)


async def test_by_pk_gives_a_row_or_null(seeded: Seeded) -> None:
    run = seeded.world.rows["flow_run"][0]
    answer = await seeded.api.execute(
        """query($id: uuid!) {
            found: flow_run_by_pk(id: $id) { name flow { id } }
            missing: flow_run_by_pk(id: "00000000-0000-0000-0000-000000000000") { id } }""",
        id=str(run["id"]).upper(),
    )
    assert answer["found"] == {"name": run["name"], "flow": {"id": str(run["flow_id"])}}
    assert answer["missing"] is None


async def test_aggregate_counts_every_row_and_shows_a_page_of_them(seeded: Seeded) -> None:
    answer = await seeded.api.execute(
        """{ flow_run_aggregate { aggregate { count } }
             few: flow_run_aggregate(limit: 3, order_by: {version: desc}) {
                aggregate { count max { version } } nodes { version } }
             flow(where: {flow_runs: {}}, limit: 1) {
                flow_runs { id } flow_runs_aggregate { aggregate { count } nodes { id } } } }"""
    )
    assert answer["flow_run_aggregate"]["aggregate"]["count"] == 40
    assert answer["few"]["aggregate"]["count"] == len(answer["few"]["nodes"]) == 3
    [flow] = answer["flow"]
    assert flow["flow_runs_aggregate"]["aggregate"]["count"] == len(flow["flow_runs"]) > 0
    assert {row["id"] for row in flow["flow_runs_aggregate"]["nodes"]} == {row["id"] for row in flow["flow_runs"]}


async def test_aggregate_over_nothing_has_no_extremes(api: Automations) -> None:
    answer = await api.execute(
        "{ flow_run_aggregate { aggregate { count min { name } max { version } } nodes { id } } }"
    )
    assert answer["flow_run_aggregate"] == {
        "aggregate": {"count": 0, "min": {"name": None}, "max": {"version": None}},
        "nodes": [],
    }


async def test_aliases_fragments_directives_and_typenames_do_as_graphql_says(seeded: Seeded) -> None:
    run = seeded.world.rows["flow_run"][0]
    answer = await seeded.api.execute(
        """query Runs($yes: Boolean = true, $no: Boolean!, $id: uuid!) {
            __typename
            mine: flow_run(where: {id: {_eq: $id}}) {
                __typename
                ...Named
                ... on flow_run { version @skip(if: $yes) state @include(if: $yes) }
                ... @include(if: $no) { id }
                kind: __typename
                flow { project_id }
                flow { __typename id ...Project @skip(if: $no) ... { id } }
                name
            }
            flow_run_aggregate { __typename aggregate { __typename min { __typename } } nodes @skip(if: $yes) { id } }
        }
        fragment Named on flow_run { label: name flow { ...Project } }
        fragment Project on flow { project { __typename id } }""",
        no=False,
        id=str(run["id"]),
    )
    [flow] = [row for row in seeded.world.rows["flow"] if row["id"] == run["flow_id"]]
    assert list(answer) == ["__typename", "mine", "flow_run_aggregate"]
    assert answer["__typename"] == "Query"
    assert answer["mine"] == [
        {
            "__typename": "flow_run",
            "label": run["name"],
            "flow": {
                "project": {"__typename": "project", "id": str(flow["project_id"])},
                "project_id": str(flow["project_id"]),
                "__typename": "flow",
                "id": str(flow["id"]),
            },
            "state": run["state"],
            "kind": "flow_run",
            "name": run["name"],
        }
    ]
    assert list(answer["mine"][0]) == ["__typename", "label", "flow", "state", "kind", "name"]
    assert answer["flow_run_aggregate"] == {
        "__typename": "flow_run_aggregate",
        "aggregate": {"__typename": "flow_run_aggregate_fields", "min": {"__typename": "flow_run_min_fields"}},
    }


@pytest.mark.parametrize(
    "fields",
    [
        "flow_run(limit: 2) { id @skip(if: true) }",
        "flow_run(limit: 2, distinct_on: id) { id @skip(if: true) }",
        "flow_run_aggregate { aggregate { count @skip(if: true) } }",
        "flow_run_aggregate { aggregate { min { name @skip(if: true) } } }",
        "flow_run_aggregate { aggregate @skip(if: true) { count } }",
        'flow_run_by_pk(id: "%s") { id @skip(if: true) }',
    ],
)
async def test_selection_of_which_nothing_is_left_gives_empty_objects(seeded: Seeded, fields: str) -> None:
    document = f"{{ {fields} }}".replace("%s", str(seeded.world.rows["flow_run"][0]["id"]))
    [answer] = (await seeded.api.execute(document)).values()
    assert answer in ([{}, {}], {"aggregate": {}}, {"aggregate": {"min": {}}}, {})


async def test_one_relation_twice_with_other_arguments(seeded: Seeded) -> None:
    answer = await seeded.api.execute(
        """{ flow(where: {flow_runs: {}}) {
            least: flow_runs(order_by: {version: asc}, limit: 1) { version }
            most: flow_runs(order_by: {version: desc}, limit: 1) { version }
            some: flow_runs_aggregate(where: {version: {_gt: 1}}) { aggregate { count } }
            flow_runs { version } } }"""
    )
    for flow in answer["flow"]:
        versions = [run["version"] for run in flow["flow_runs"]]
        assert flow["least"] == [{"version": min(versions)}]
        assert flow["most"] == [{"version": max(versions)}]
        assert flow["some"]["aggregate"]["count"] == sum(version > 1 for version in versions)


async def test_alias_has_63_characters_at_most(seeded: Seeded) -> None:
    fits, longer = "x" * 63, "x" * 64
    answer = await seeded.api.execute(f"{{ {longer}: flow_run(limit: 1) {{ {fits}: version }} }}")
    assert list(answer[longer][0]) == [fits]
    with pytest.raises(GraphQLError, match="has 64 characters; an alias may have 63") as caught:
        await seeded.api.execute(f"{{ flow_run {{ {longer}: version }} }}")
    assert caught.value.code == "LIMIT_EXCEEDED"


async def test_names_that_mean_something_in_sql_are_only_names(seeded: Seeded) -> None:
    keys = ["select", "from", "t1", "value", "met", "_0", "ORDER", "Name", "name", "NAME"]
    fields = " ".join(f"{key}: version" for key in keys)
    answer = await seeded.api.execute(f"{{ flow_run(limit: 3) {{ {fields} flow {{ {fields} }} }} }}")
    for row in answer["flow_run"]:
        assert list(row) == [*keys, "flow"]
        assert list(row["flow"]) == keys


@pytest.mark.parametrize("text", ["'; DROP TABLE flow_run; --", '" OR true --', "$1", "\\'", "%s {0} :name"])
async def test_sql_in_a_value_is_only_a_value(api: Automations, text: str) -> None:
    made = await api.write("create_project", name=text)
    answer = await api.execute(
        "query($text: String!) { project(where: {name: {_eq: $text}}) { id name }"
        " project_aggregate(where: {name: {_in: [$text]}}) { aggregate { count } } }",
        text=text,
    )
    assert answer == {
        "project": [{"id": made["id"], "name": text}],
        "project_aggregate": {"aggregate": {"count": 1}},
    }


async def test_root_field_is_one_statement(seeded: Seeded, monkeypatch: pytest.MonkeyPatch) -> None:
    await seeded.api.execute("{ hello }")  # from now on the server knows the tenant
    with statements(monkeypatch) as seen:
        await seeded.api.execute(
            """{ project { name flows { name flow_runs(limit: 2) { name states { state } flow { project { id } } }
                 flow_runs_aggregate { aggregate { count } nodes { id } } } }
                 flow_run_aggregate { aggregate { count max { name } } nodes { flow { name } } }
                 flow_run_by_pk(id: "00000000-0000-0000-0000-000000000000") { flow { project { id } } } }"""
        )
    assert len(seen) == 3


@pytest.mark.parametrize("query", QUERIES.values(), ids=list(QUERIES))
async def test_what_pages_poll_is_one_statement(api: Automations, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    await api.set_state(await api.run(await api.flow()), "Running")
    await api.automation({"slack_notification": {"webhook_url_secret": "SLACK"}})
    with statements(monkeypatch) as seen:
        [rows] = (await api.execute(query, limit=100)).values()
    assert (len(rows), len(seen)) == (1, 1)


async def test_formats_are_those_of_the_conventions(api: Automations) -> None:
    flow = await api.flow()
    run = await api.run(
        flow,
        scheduled_start_time="2019-01-01 12:00:00",
        parameters={"é": [1, 2.5, None, {"deep": "x"}]},
        labels=["b", "a", "b"],
        context="text",
    )
    answer = await api.execute(
        f'{{ flow_run_by_pk(id: "{run}") {{ id scheduled_start_time created parameters labels context start_time }} }}'
    )
    row = answer["flow_run_by_pk"]
    assert row["id"] == run
    assert row["scheduled_start_time"] == "2019-01-01T12:00:00+00:00"
    assert row["created"].endswith("+00:00")
    assert row["parameters"] == {"é": [1, 2.5, None, {"deep": "x"}]}
    assert row["labels"] == ["a", "b"]
    assert (row["context"], row["start_time"]) == ("text", None)


@pytest.mark.parametrize("time", ["2019-01-01T12:00:00Z", "2019-01-01T14:00:00+02:00", "2019-01-01 12:00:00"])
async def test_times_are_read_in_every_usual_form(api: Automations, time: str) -> None:
    await api.run(await api.flow(), scheduled_start_time="2019-01-01T12:00:00Z")
    answer = await api.execute(
        f"""query($time: timestamptz) {{
            literal: flow_run(where: {{scheduled_start_time: {{_eq: "{time}"}}}}) {{ id }}
            variable: flow_run(where: {{scheduled_start_time: {{_eq: $time}}}}) {{ id }} }}""",
        time=time,
    )
    assert len(answer["literal"]) == len(answer["variable"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ("limit: -1", "limit must not be negative", "BAD_USER_INPUT"),
        ("offset: -1", "offset must not be negative", "BAD_USER_INPUT"),
        ("limit: 1001", "a list has 1000 rows at most", "LIMIT_EXCEEDED"),
        ("limit: 3000000000", "Int cannot represent", "BAD_USER_INPUT"),
        ('where: {name: {_regex: "("}}', "invalid regular expression", "BAD_USER_INPUT"),
        ('where: {name: {_similar: "("}}', "invalid regular expression", "BAD_USER_INPUT"),
        (r'where: {name: {_like: "\\"}}', "LIKE pattern must not end with escape character", "BAD_USER_INPUT"),
        ('where: {id: {_eq: "nonsense"}}', "is not a UUID", "BAD_USER_INPUT"),
        ('where: {start_time: {_eq: "nonsense"}}', "is not an ISO 8601 time", "BAD_USER_INPUT"),
        ('where: {start_time: {_gt: "0001-01-01T00:00:00+14:00"}}', "A value cannot be used", "BAD_USER_INPUT"),
        (r'where: {name: {_eq: "\u0000"}}', "must not contain the NUL character", "BAD_USER_INPUT"),
        (r'where: {parameters: {_contains: {a: "\u0000"}}}', "must not contain the NUL character", "BAD_USER_INPUT"),
        ("order_by: {name: sideways}", "does not exist in 'order_by' enum", "BAD_USER_INPUT"),
        ("distinct_on: nonsense", "does not exist in 'flow_run_select_column' enum", "BAD_USER_INPUT"),
    ],
)
async def test_wrong_argument_is_refused_with_what_to_change(
    seeded: Seeded, arguments: str, message: str, code: str
) -> None:
    with pytest.raises(GraphQLError, match=message) as caught:
        await seeded.api.execute(f"{{ flow_run({arguments}) {{ id }} }}")
    assert caught.value.code == code


async def test_query_is_nested_twelve_relations_deep_at_most(seeded: Seeded) -> None:
    deepest = "{ flow_run(limit: 1) { " + "flow { flow_runs(limit: 1) { " * 5 + "flow { id }" + " } }" * 5 + " } }"
    assert (await seeded.api.execute(deepest))["flow_run"]
    deeper = "{ flow_run(limit: 1) { " + "flow { flow_runs(limit: 1) { " * 6 + "id" + " } }" * 6 + " } }"
    with pytest.raises(GraphQLError, match="nested 12 relations deep") as caught:
        await seeded.api.execute(deeper)
    assert caught.value.code == "LIMIT_EXCEEDED"


async def test_filter_goes_through_six_relations_at_most(seeded: Seeded) -> None:
    def through(pairs: int) -> str:
        return (
            "{ flow_run(where: "
            + "{flow: {flow_runs: " * pairs
            + "{version: {_gte: 0}}"
            + "}}" * pairs
            + ", limit: 1) { id } }"
        )

    assert (await seeded.api.execute(through(3)))["flow_run"]
    with pytest.raises(GraphQLError, match="may go through 6 relations") as caught:
        await seeded.api.execute(through(4))
    assert caught.value.code == "LIMIT_EXCEEDED"


async def test_small_document_cannot_ask_for_very_many_fields(seeded: Seeded) -> None:
    fragments = "".join(
        f"fragment f{n} on flow_run {{ flow {{ {' '.join(f'a{i}: flow_runs {{ ...f{n + 1} }}' for i in range(9))} }} }}"
        for n in range(5)
    )
    with pytest.raises(GraphQLError, match="may have 1000 aliases; this one has 66429") as caught:
        await seeded.api.execute(f"{{ flow_run {{ ...f0 }} }} {fragments} fragment f5 on flow_run {{ id }}")
    assert caught.value.code == "LIMIT_EXCEEDED"


async def test_fragment_that_doubles_itself_costs_nothing(seeded: Seeded) -> None:
    fragments = "".join(f"fragment f{n} on flow_run {{ ...f{n + 1} ...f{n + 1} }} " for n in range(40))
    answer = await seeded.api.execute(
        f"{{ flow_run(limit: 1) {{ ...f0 }} }} {fragments} fragment f40 on flow_run {{ id }}"
    )
    assert len(answer["flow_run"]) == 1


async def test_filter_has_ten_thousand_values_at_most(seeded: Seeded) -> None:
    document = "query($where: flow_run_bool_exp) { flow_run(where: $where) { id } }"
    with pytest.raises(GraphQLError, match="may have 10000 values in its filters") as caught:
        await seeded.api.execute(document, where={"_or": [{"version": {"_eq": 9}}] * 10_001})
    assert caught.value.code == "LIMIT_EXCEEDED"
    versions = await seeded.api.execute(document, where={"version": {"_in": list(range(50_000))}})
    assert len(versions["flow_run"]) == 40


async def test_first_action_of_a_hook_is_the_one_that_filters_and_orders(api: Automations) -> None:
    """A relation to one row that meets several is the first of them, wherever it is used."""
    first, second = [
        (await api.write("create_action", name=name, config={"slack_notification": {"webhook_url_secret": "S"}}))["id"]
        for name in ("first", "second")
    ]
    forward = await api.automation({"action_id": first}, {"action_id": second})
    backward = await api.automation({"action_id": second}, {"action_id": first})
    answer = await api.execute(
        f"""{{ shown: hook {{ id action {{ id }} }}
               filtered: hook(where: {{action: {{id: {{_eq: "{first}"}}}}}}) {{ id }}
               ordered: hook(order_by: {{action: {{name: desc}}}}) {{ id }}
               automation(order_by: {{created: asc}}) {{ actions {{ id }} }} }}"""
    )
    assert {row["id"]: row["action"]["id"] for row in answer["shown"]} == {forward: first, backward: second}
    assert answer["filtered"] == [{"id": forward}]
    assert [row["id"] for row in answer["ordered"]] == [backward, forward]
    assert [[action["id"] for action in row["actions"]] for row in answer["automation"]] == [
        [first, second],
        [second, first],
    ]


async def test_hooks_are_filtered_by_their_tags_as_existing_pages_do(api: Automations) -> None:
    hook = await api.automation({"cancel_flow_run": {}}, event={"flow_run_state_changed": {"states": ["Failed"]}})
    document = """query($tags: jsonb) { hook(where: {
        event_tags: {_contains: $tags}, event_type: {_eq: "FlowRunStateChangedEvent", _neq: "AgentSLAFailedEvent"}
    }) { id } }"""
    assert (await api.execute(document, tags={"state": ["Failed"]}))["hook"] == [{"id": hook}]
    assert (await api.execute(document, tags={"state": ["Running"]}))["hook"] == []
    assert len((await api.execute(document))["hook"]) == 1
