/** Every operation that the page sends. */

const ACTION = "id name action_type action_config inline problems paused_reason";
const AUTOMATION = `id name description enabled event_type event actions { ${ACTION} }
  firings(where: {is_test: {_eq: false}}, order_by: {created: desc}, limit: 1) { id created }
  deliveries(where: {is_test: {_eq: false}}, order_by: {created: desc}, limit: 14) { id status created attempt_count }`;
const DELIVERY = `id created status action_type destination target attempt_count due_at finished_at status_code reason
  waits_for is_test redelivery_of automation { id name deleted_at } action { id name }
  firing { id event_type event flow_run { id name flow { name } } }`;
const RUN = "id name state state_message state_timestamp scheduled_start_time flow { name }";

export const AUTH_INFO = "{ auth_info { name role tenant_id tenants { id name } } }";

export const AUTOMATIONS = `query {
  automation(where: {deleted_at: {_is_null: true}}, order_by: {created: desc}, limit: 1000) { ${AUTOMATION} }
}`;
export const AUTOMATION_BY_ID = `query($id: uuid!) { automation_by_pk(id: $id) { ${AUTOMATION} } }`;
export const AUTOMATION_NAMES = "{ automation(order_by: {name: asc}, limit: 1000) { id name } }";
export const CREATE_AUTOMATION = `mutation($input: create_automation_input!) {
  create_automation(input: $input) { id warnings }
}`;
export const UPDATE_AUTOMATION = `mutation($input: update_automation_input!) {
  update_automation(input: $input) { id warnings }
}`;
export const DELETE_AUTOMATION = `mutation($input: delete_automation_input!) {
  delete_automation(input: $input) { success }
}`;
export const TEST_AUTOMATION = `mutation($input: test_automation_input!) {
  test_automation(input: $input) { results { success error status_code rendered } }
}`;

export const FLOWS = `query($name: String) {
  flow(where: {archived: {_eq: false}, name: {_ilike: $name}}, order_by: {name: asc}, limit: 30) {
    id name flow_group_id project { name }
  }
}`;
export const FLOWS_OF_GROUPS = `query($ids: [uuid!]) {
  flow(where: {archived: {_eq: false}, flow_group_id: {_in: $ids}}, limit: 1000) {
    id name flow_group_id project { name }
  }
}`;
export const AGENT_CONFIGS = `{
  agent_config(order_by: {created: asc}) { id name agents { id name type labels last_queried } }
  agent(where: {agent_config_id: {_is_null: true}}, order_by: {last_queried: desc_nulls_last}, limit: 100) {
    id name type labels last_queried
  }
}`;
export const CREATE_AGENT_CONFIG = `mutation($input: create_agent_config_input!) {
  create_agent_config(input: $input) { id }
}`;

export const ACTIONS = `{
  action(where: {inline: {_eq: false}, deleted_at: {_is_null: true}}, order_by: {created: desc}) { ${ACTION} }
  automation(where: {deleted_at: {_is_null: true}}, limit: 1000) { id name actions { ${ACTION} } }
  secret_names
}`;
export const SAVED_ACTIONS = `{
  action(where: {inline: {_eq: false}, deleted_at: {_is_null: true}}, order_by: {name: asc_nulls_last}) { ${ACTION} }
}`;
export const CREATE_ACTION = "mutation($input: create_action_input!) { create_action(input: $input) { id } }";
export const UPDATE_ACTION = "mutation($input: update_action_input!) { update_action(input: $input) { id warnings } }";
export const DELETE_ACTION = "mutation($input: delete_action_input!) { delete_action(input: $input) { success } }";
export const TEST_ACTION = `mutation($input: test_action_input!) {
  test_action(input: $input) { success error status_code rendered }
}`;
export const PREVIEW = `mutation($input: preview_message_input!) {
  preview_message(input: $input) { rendered unknown_fields }
}`;

export const SECRET_NAMES = "{ secret_names }";
export const SET_SECRET = "mutation($input: set_secret_input!) { set_secret(input: $input) { success } }";
export const DELETE_SECRET = "mutation($input: delete_secret_input!) { delete_secret(input: $input) { success } }";

export const DELIVERIES = `query($where: delivery_bool_exp, $limit: Int) {
  delivery(where: $where, order_by: {created: desc}, limit: $limit) { ${DELIVERY} }
}`;
export const DELIVERY_BY_ID = `query($id: uuid!) {
  delivery_by_pk(id: $id) {
    ${DELIVERY}
    attempts(order_by: {number: asc}) { id number started_at finished_at outcome status_code reason request answer }
  }
}`;
export const REDELIVER = "mutation($input: redeliver_input!) { redeliver(input: $input) { id } }";

export const CREATE_PROJECT = "mutation($input: create_project_input!) { create_project(input: $input) { id } }";
export const CREATE_FLOW = "mutation($input: create_flow_input!) { create_flow(input: $input) { id } }";
export const CREATE_FLOW_RUN = "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }";
export const SET_FLOW_RUN_STATES = `mutation($input: set_flow_run_states_input!) {
  set_flow_run_states(input: $input) { states { id } }
}`;

export const RUNS = `query($where: flow_run_bool_exp) {
  flow_run(where: $where, order_by: {updated: desc}, limit: 60) {
    ${RUN} firings_aggregate { aggregate { count } }
  }
}`;
export const RECENT_RUNS = `{ flow_run(order_by: {updated: desc}, limit: 12) { ${RUN} } }`;
export const RUN_BY_ID = `query($id: uuid!) {
  flow_run_by_pk(id: $id) {
    ${RUN} states(order_by: {version: desc}, limit: 50) { id state message timestamp }
    firings(order_by: {created: desc}) {
      id created event automation { id name deleted_at }
      deliveries(order_by: {created: asc}) { ${DELIVERY} }
    }
  }
}`;
