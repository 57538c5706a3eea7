"""Run by the Python that has Prefect 1: calls of its client that no run makes by itself; prints a JSON object."""

import datetime
import json
import sys

import prefect
from prefect.engine.state import Failed, Running, Success

flow_id = sys.argv[1]
client = prefect.Client()
keyed = [client.create_flow_run(flow_id=flow_id, idempotency_key="once") for _ in range(2)]
run = keyed[0]
client.set_flow_run_name(run, "called by hand")
info = client.get_flow_run_info(run)
client.set_flow_run_state(run, Running(), version=info.version)
try:
    client.set_flow_run_state(run, Failed(), version=info.version)
    stale = "accepted"
except BaseException as error:  # a signal is no Exception
    stale = type(error).__name__
task = info.task_runs[0]
child = client.get_task_run_info(run, task.task_id, map_index=3)
client.set_task_run_name(child.id, "third child")
client.set_task_run_state(child.id, Running(), version=child.version)
client.set_task_run_state(child.id, Success(result=1))
client.update_flow_run_heartbeat(run)
client.write_run_logs([{"flow_run_id": run, "name": "hand", "level": "INFO", "message": "one"}])
client.graphql(
    "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }",
    variables={"input": {"logs": {"flow_run_id": run, "message": "not in a list"}}},
)
print(
    json.dumps(
        {
            "keyed": keyed,
            "stale": stale,
            "child": child.id,
            "child_state": type(client.get_task_run_state(child.id)).__name__,
            "cached": len(
                client.get_latest_cached_states(task.task_id, "key", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
            ),
            "default_tenant": client.get_default_tenant_slug(),
        }
    )
)
