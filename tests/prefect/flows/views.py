"""Run by the Python that has Prefect 1: what its own views of a flow and of a run show; prints a JSON object."""

import json
import sys

from prefect.backend import FlowRunView, FlowView, TenantView

flow_id, flow_run_id = sys.argv[1:]
flow = FlowView.from_flow_id(flow_id)
run = FlowRunView.from_flow_run_id(flow_run_id)
print(
    json.dumps(
        {
            "tenant": TenantView.from_current_tenant().slug if hasattr(TenantView, "from_current_tenant") else None,
            "flow": flow.name,
            "project": flow.project_name,
            "by_name": FlowView.from_flow_name(flow.name, project_name=flow.project_name).flow_id,
            "storage": type(flow.storage).__name__,
            "state": type(run.state).__name__,
            "states": len(run.states),
            "logs": [log.message for log in run.get_logs()],
            "total": run.get_task_run(task_slug="total-1").get_result(),
            "doubled": run.get_task_run(task_slug="double-1").get_result(),
            "tasks": sorted(task_run.task_slug for task_run in run.get_all_task_runs()),
        }
    )
)
