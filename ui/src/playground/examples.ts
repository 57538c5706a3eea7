/** Operations that are ready to run, each in a tab of its own. */
export const EXAMPLES = [
  `# What happened, and what became of it, attempt by attempt.
query WhatHappened {
  firing(order_by: {created: desc}, limit: 20) {
    created
    event
    automation { name }
    deliveries {
      status
      reason
      waits_for
      attempts { number outcome status_code answer }
    }
  }
}
`,
  `# Every automation with its actions and what keeps them from working.
query Automations {
  automation(order_by: {created: desc}) {
    name
    enabled
    event_type
    event
    actions { name action_type action_config problems }
  }
}
`,
  `# When any run fails, call a webhook.
mutation TellWhatFailed {
  create_automation(input: {
    name: "Tell the dashboard what failed"
    event: {flow_run_state_changed: {state_group: FAILED}}
    actions: [{webhook: {url: "https://example.com/runs", payload: {run: "{flow_run_name}", state: "{state}"}}}]
  }) { id warnings }
}
`,
  `# Each delivery as it changes: run this, then let something happen.
subscription Deliveries {
  delivery_changed { status reason waits_for automation { name } }
}
`,
  `# How a message will read.
mutation Preview {
  preview_message(input: {
    event_type: "FlowRunStateChangedEvent"
    template: "{flow_name} is {state}: {state_message}"
  }) { rendered unknown_fields }
}
`,
];
