"""Run by the Python that has Prefect 1: registers flows of `shelf`; prints a JSON object of name → flow id."""

import json
import sys

import prefect
import shelf

client = prefect.Client()
client.create_project(project_name="real")
ids = {}
for name in sys.argv[1:]:
    flow = shelf.FLOWS[name]
    ids[name] = flow.register("real", add_default_labels=False, no_url=True)
print(json.dumps(ids))
