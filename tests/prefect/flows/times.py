"""Run by the Python that has Prefect 1: the times that its schedules name; prints a JSON list of lists."""

import json
import sys

import pendulum
from prefect.serialization.schedule import ScheduleSchema

now = pendulum.parse(sys.argv[1])
schedules = [ScheduleSchema().load(serialized) for serialized in json.loads(sys.argv[2])]
print(json.dumps([[time.in_tz("UTC").isoformat() for time in schedule.next(6, after=now)] for schedule in schedules]))
