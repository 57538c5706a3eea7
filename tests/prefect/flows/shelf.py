"""Run by the Python that has Prefect 1: flows as people write them."""

import datetime
import time

import pendulum
import prefect
from prefect import Flow, Parameter, task
from prefect.client import Secret
from prefect.run_configs import LocalRun
from prefect.schedules import Schedule, filters
from prefect.schedules.clocks import CronClock, IntervalClock


@task
def numbers(count):
    prefect.context.get("logger").info("counting to %s", count)
    return list(range(count))


@task
def double(number):
    return number * 2


@task
def total(numbers):
    result = sum(numbers)
    prefect.context.get("logger").info("the total is %s", result)
    return result


@task
def fail():
    raise ValueError("no such table")


@task(max_retries=2, retry_delay=datetime.timedelta(seconds=1))
def second_try():
    if prefect.context.get("task_run_count", 1) < 2:
        raise ValueError("not yet")
    return "done"


@task(max_retries=1, retry_delay=datetime.timedelta(minutes=11))
def much_later():
    if prefect.context.get("task_run_count", 1) < 2:
        raise ValueError("not yet")
    return "done"


@task
def sleep(seconds):
    for _ in range(seconds * 10):
        time.sleep(0.1)


@task(task_run_name="renamed {number}")
def named(number):
    return number


@task
def open_secret(name):
    value = Secret(name).get()
    prefect.context.get("logger").info("the secret has %s letters", len(value["password"]))


with Flow("success") as success:
    count = Parameter("count", default=3)
    total(double.map(numbers(count)))

with Flow("failure") as failure:
    fail()

with Flow("retry") as retry:
    second_try()

with Flow("later") as later:
    much_later()

with Flow("long") as long:
    sleep(600)

with Flow("named") as named_flow:
    named(7)

with Flow("labelled", run_config=LocalRun(labels=["gpu"])) as labelled:
    numbers(1)

with Flow("required") as required:
    numbers(Parameter("count"))

with Flow("secretive") as secretive:
    open_secret(Parameter("name", default="TOKEN"))

every_night = Schedule(
    clocks=[
        CronClock("0 4 * * *", parameter_defaults={"count": 4}, labels=["nights"]),
        IntervalClock(
            datetime.timedelta(days=1),
            start_date=pendulum.datetime(2026, 1, 1, 5, tz="Europe/Berlin"),
            parameter_defaults={"count": 5},
            labels=["nights"],
        ),
    ],
    filters=[filters.between_times(datetime.time(4), datetime.time(4, 59))],
)
with Flow("scheduled", schedule=every_night) as scheduled:
    numbers(Parameter("count"))

with Flow("large") as large:
    first = numbers(1)
    for _ in range(1000):  # more than one batch of 500
        large.add_edge(first, double.copy(), key="number")

FLOWS = {
    flow.name: flow for flow in (
        success, failure, retry, later, long, named_flow, labelled, required, secretive, scheduled, large,
    )
}  # fmt: skip
