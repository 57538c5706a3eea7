"""Documents as existing pages and scripts send them: one for each operation of the hook API and each convention."""

from typing import Any

import orjson
import pytest

from tests.harness import Automations, GraphQLError

SLACK = {"slack_notification": {"webhook_url_secret": "SLACK", "message": "{flow_name}"}}
DAY = "2026-01-31T09:30:00+00:00"


async def flow_of(api: Automations) -> dict[str, str]:
    """A flow with one run: its ids."""
    flow = await api.flow("etl")
    run = await api.run(flow, scheduled_start_time=DAY)
    [row] = (await api.execute("{ flow { flow_group_id project_id } }"))["flow"]
    return {"flow": flow, "run": run, **row}


async def test_page_of_notifications(api: Automations) -> None:
    """A page makes a hook, polls for it, changes it by making it anew, and deletes it."""
    group = (await flow_of(api))["flow_group_id"]
    action = await api.execute(
        "mutation CreateAction($config: action_config_input!, $name: String) {"
        " create_action(input: {config: $config, name: $name}) { id } }",
        config=SLACK,
        name="tell #data",
    )
    action_id = action["create_action"]["id"]
    hook = await api.execute(
        """mutation Hook($flow_group_ids: [UUID!], $action_id: UUID!, $states: [String!]!) {
            create_flow_run_state_changed_hook(
                input: {flow_group_ids: $flow_group_ids, action_id: $action_id, states: $states}
            ) { id }
        }""",
        flow_group_ids=[group],
        action_id=action_id,
        states=["FAILED", "TimedOut"],
    )
    hook_id = hook["create_flow_run_state_changed_hook"]["id"]
    polled = """query Hooks($flow_group_id: jsonb, $none: String) {
        hook(
            where: {
                event_type: {_eq: "FlowRunStateChangedEvent", _neq: "AgentSLAFailedEvent", _ilike: $none}
                event_tags: {_contains: $flow_group_id}
            }
            order_by: {created: desc}
        ) { id event_type event_tags created action { id name action_type action_config } }
        notifications: action(where: {id: {_in: []}}) { id name action_type action_config }
        secret_names
    }"""
    data = await api.execute(polled, flow_group_id={"flow_group_id": [group]})
    assert data["notifications"] == []
    assert data["secret_names"] == []
    [row] = data["hook"]
    assert row["id"] == hook_id
    assert row["event_tags"] == {"state": ["Failed", "TimedOut"], "flow_group_id": [group]}
    assert row["action"]["id"] == action_id
    assert (await api.execute(polled, flow_group_id={"flow_group_id": [action_id]}))["hook"] == []
    deleted = await api.execute(
        "mutation($id: UUID!) { delete_hook(input: {hook_id: $id}) { success error } }", id=hook_id
    )
    assert deleted == {"delete_hook": {"success": True, "error": None}}
    deleted = await api.execute(f'mutation {{ delete_action(input: {{action_id: "{action_id}"}}) {{ success }} }}')
    assert deleted == {"delete_action": {"success": True}}


async def test_page_of_slas(api: Automations) -> None:
    group = (await flow_of(api))["flow_group_id"]
    action_id = (await api.write("create_action", config=SLACK))["id"]
    # Enums are bare in a document, and strings in variables.
    sla = await api.execute(
        "mutation { create_flow_sla_config(input: {kind: SCHEDULED_NOT_STARTED, duration_seconds: 60}) { id } }"
    )
    sla_id = sla["create_flow_sla_config"]["id"]
    await api.execute(
        "mutation($kind: flow_sla_kind!) {"
        ' create_flow_sla_config(input: {kind: $kind, duration_seconds: 1, name: "n"}) { id } }',
        kind="STARTED_NOT_FINISHED",
    )
    linked = await api.execute(
        "mutation($sla: UUID!, $group: UUID!) {"
        " create_flow_group_sla(input: {flow_sla_config_id: $sla, flow_group_id: $group}) { id } }",
        sla=sla_id,
        group=group,
    )
    link_id = linked["create_flow_group_sla"]["id"]
    # One id where a list of ids is wanted.
    hook = await api.execute(
        f"""mutation {{ create_flow_sla_failed_hook(
            input: {{action_id: "{action_id}", sla_config_ids: "{sla_id}"}}
        ) {{ id }} }}"""
    )
    data = await api.execute(
        """query($id: uuid!) {
            flow_sla_config_by_pk(id: $id) { kind duration_seconds flow_groups { id flow_group_id } }
            hook { id event_type event_tags }
        }""",
        id=sla_id,
    )
    assert data["flow_sla_config_by_pk"] == {
        "kind": "SCHEDULED_NOT_STARTED",
        "duration_seconds": 60,
        "flow_groups": [{"id": link_id, "flow_group_id": group}],
    }
    assert data["hook"] == [
        {
            "id": hook["create_flow_sla_failed_hook"]["id"],
            "event_type": "FlowSLAFailedEvent",
            "event_tags": {"flow_sla_config_id": [sla_id]},
        }
    ]


async def test_page_of_agents(api: Automations) -> None:
    made = await api.execute("mutation { create_agent_config(input: {}) { id } }")
    config_id = made["create_agent_config"]["id"]
    agent = await api.write("register_agent", name="one", type="LocalAgent", labels="a", agent_config_id=config_id)
    changed = await api.execute(
        "mutation($id: UUID!, $settings: JSON) {"
        ' update_agent_config(input: {agent_config_id: $id, name: "prod", settings: $settings}) { success error } }',
        id=config_id,
        settings={"region": "eu"},
    )
    assert changed == {"update_agent_config": {"success": True, "error": None}}
    action_id = (await api.write("create_action", config=SLACK))["id"]
    hook = await api.write("create_agent_sla_failed_hook", action_id=action_id, agent_config_ids=config_id)
    data = await api.execute(
        """query($id: uuid!, $tags: jsonb) {
            agent_config { id name settings agents { id type name last_queried } }
            agent_config_by_pk(id: $id) { id name }
            hook(where: {event_tags: {_contains: $tags}}) { id event_type event_tags }
        }""",
        id=config_id,
        tags={"agent_config_id": [config_id]},
    )
    [config] = data["agent_config"]
    [listed] = config.pop("agents")
    assert listed.keys() == {"id", "type", "name", "last_queried"}
    assert (listed["id"], listed["type"], listed["name"]) == (agent["id"], "LocalAgent", "one")
    assert config == {"id": config_id, "name": "prod", "settings": {"region": "eu"}}
    assert data["agent_config_by_pk"] == {"id": config_id, "name": "prod"}
    assert [row["id"] for row in data["hook"]] == [hook["id"]]
    await api.write("delete_hook", "success", hook_id=hook["id"])
    assert await api.write("delete_agent_config", "success error", agent_config_id=config_id) == {
        "success": True,
        "error": None,
    }


async def test_action_is_tried_out_as_pages_do(api: Automations) -> None:
    action_id = (await api.write("create_action", config=SLACK))["id"]
    data = await api.execute(
        "mutation($id: UUID!) { test_action(input: {action_id: $id}) { success error } }", id=action_id
    )
    assert data["test_action"]["success"] is False
    assert "The secret 'SLACK' does not exist" in data["test_action"]["error"]


async def test_pages_of_runs(api: Automations) -> None:
    ids = await flow_of(api)
    await api.set_state(ids["run"], "Running", "Running flow.")
    data = await api.execute(
        """query Dashboard($project_id: uuid, $heartbeat: timestamptz, $state: String, $limit: Int) {
            recent: flow_run(
                where: {flow: {project_id: {_eq: $project_id}}, state: {_eq: $state}}
                order_by: {scheduled_start_time: desc}
                limit: $limit
            ) { id name state version flow { id name project { id name } } states(order_by: {version: asc}) { state } }
            running: flow_run_aggregate(where: {state: {_eq: "Running"}, start_time: {_gte: $heartbeat}}) {
                aggregate { count min { start_time } max { version } }
            }
            flow(
                distinct_on: flow_group_id
                order_by: [{flow_group_id: asc}, {version: desc}]
                where: {archived: {_eq: false}}
            ) { id name flow_group { id } flow_runs_aggregate { aggregate { count } } }
            project { name flows_aggregate(distinct_on: name) { aggregate { count(columns: [name], distinct: true) } } }
        }""",
        project_id=ids["project_id"],
        heartbeat="2019-01-01 12:00:00",
        state=None,
        limit=10,
    )
    [run] = data["recent"]
    assert (run["id"], run["state"], run["flow"]["name"]) == (ids["run"], "Running", "etl")
    assert [state["state"] for state in run["states"]] == ["Scheduled", "Running"]
    assert data["running"]["aggregate"]["count"] == 1
    assert data["running"]["aggregate"]["max"] == {"version": 2}
    assert [(row["id"], row["flow_runs_aggregate"]["aggregate"]["count"]) for row in data["flow"]] == [(ids["flow"], 1)]
    assert data["project"][0]["flows_aggregate"]["aggregate"]["count"] == 1


async def test_what_pages_ask_of_the_server(api: Automations) -> None:
    data = await api.execute(
        """query { hello api { backend mode version core_version release_timestamp } auth_info { tenant_id }
            tenant { id name slug } reference_data { state_hierarchy state_info } }"""
    )
    assert data["api"]["backend"] == "SERVER"
    assert data["auth_info"]["tenant_id"] == data["tenant"][0]["id"]
    assert "Failed" in data["reference_data"]["state_hierarchy"]["Failed"]


@pytest.mark.parametrize(
    ("declared", "type_"),
    [
        ("UUID", "uuid"),
        ("uuid", "uuid"),
        ("DateTime", "time"),
        ("timestamptz", "time"),
        ("JSON", "json"),
        ("jsonb", "json"),
    ],
)
async def test_both_spellings_of_a_scalar_are_there(api: Automations, declared: str, type_: str) -> None:
    """Inputs use the first one, filters and keys the second."""
    ids = await flow_of(api)
    first = declared[0].isupper()
    documents: dict[tuple[str, bool], tuple[str, Any]] = {
        ("uuid", True): ("mutation($v: UUID!) { delete_flow_run(input: {flow_run_id: $v}) { success } }", ids["run"]),
        ("uuid", False): ("query($v: uuid!) { flow_run_by_pk(id: $v) { id } }", ids["run"]),
        ("time", True): (
            f'mutation($v: DateTime) {{ create_flow_run(input: {{flow_id: "{ids["flow"]}",'
            " scheduled_start_time: $v}) { id } }",
            "2019-01-01 12:00:00",
        ),
        ("time", False): (
            "query($v: timestamptz) { flow_run(where: {created: {_gte: $v}}) { id } }",
            "2019-01-01 12:00",
        ),
        ("json", True): (
            f'mutation($v: JSON) {{ create_flow_run(input: {{flow_id: "{ids["flow"]}", parameters: $v}}) {{ id }} }}',
            {"x": 1},
        ),
        ("json", False): ("query($v: jsonb) { flow_run(where: {parameters: {_eq: $v}}) { id } }", {}),
    }
    document, value = documents[(type_, first)]
    assert all((await api.execute(document, v=value)).values())


@pytest.mark.parametrize(
    "where",
    [
        "{}",
        "{id: {}}",
        "{id: {_eq: null}}",
        "{id: {_in: null}}",
        "{name: {_ilike: null}}",
        "{flow: {project_id: {_eq: null}}}",
        "{_or: [{}, {name: {_eq: null}}]}",
        "{_and: [{state: {_eq: null}}, {}]}",
    ],
)
async def test_null_in_a_filter_is_no_condition(api: Automations, where: str) -> None:
    ids = await flow_of(api)
    assert (await api.execute(f"{{ flow_run(where: {where}) {{ id }} }}"))["flow_run"] == [{"id": ids["run"]}]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"{\\"a\\": 1}"', {"a": 1}),
        ("{a: 1}", {"a": 1}),
        ('{a: ["b", {c: null}]}', {"a": ["b", {"c": None}]}),
    ],
)
async def test_json_in_a_document(api: Automations, written: str, read: Any) -> None:
    made = await api.execute(f"mutation {{ create_agent_config(input: {{settings: {written}}}) {{ id }} }}")
    data = await api.execute(
        "query($id: uuid!) { agent_config_by_pk(id: $id) { settings } }", id=made["create_agent_config"]["id"]
    )
    assert data["agent_config_by_pk"]["settings"] == read


async def test_answers_are_as_the_conventions_say(api: Automations) -> None:
    await flow_of(api)
    data = await api.execute(
        "{ flow_run { __typename id scheduled_start_time } flow_run_aggregate { __typename aggregate { count } } }"
    )
    [run] = data["flow_run"]
    assert run["__typename"] == "flow_run"
    assert run["scheduled_start_time"] == DAY
    assert data["flow_run_aggregate"] == {"__typename": "flow_run_aggregate", "aggregate": {"count": 1}}


async def test_unknown_row_is_refused_with_a_code(api: Automations) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    for mutation, input_ in (
        ("delete_hook", {"hook_id": nobody}),
        ("delete_action", {"action_id": nobody}),
        ("test_action", {"action_id": nobody}),
        ("delete_agent_config", {"agent_config_id": nobody}),
        ("update_agent_config", {"agent_config_id": nobody, "name": "x"}),
        ("create_flow_group_sla", {"flow_sla_config_id": nobody, "flow_group_id": nobody}),
    ):
        fields = "id" if mutation.startswith("create") else "success"
        with pytest.raises(GraphQLError, match=nobody) as caught:
            await api.write(mutation, fields, **input_)
        assert caught.value.code == "NOT_FOUND", mutation


async def test_client_of_the_root_sends_variables_as_text(api: Automations) -> None:
    ids = await flow_of(api)
    body = {
        "query": "query($id: uuid!) { flow_run_by_pk(id: $id) { id } }",
        "variables": orjson.dumps({"id": ids["run"]}).decode(),
    }
    response = await api.client.post(api.url, json=body, headers=api.headers)
    assert response.json() == {"data": {"flow_run_by_pk": {"id": ids["run"]}}}
