"""What reaches standard error: one JSON object a line for machines, and in no format the values of variables."""

import os
import subprocess
import sys

import orjson
import pytest

SECRET = "hunter2-" + "and-more"

PROGRAM = """
import logging, os, structlog
from automations.logs import configure_logs

configure_logs(format_=os.environ["FORMAT"], level=os.environ.get("LEVEL", "info"))
log = structlog.get_logger("ours")

def fail(password):
    kept = {"password": password}
    raise RuntimeError("it broke")

def log_failure(write, text):
    try:
        fail(os.environ["SECRET"])
    except RuntimeError:
        write(text)

log.debug("at debug")
log.info("hello", tenant="acme")
log_failure(log.exception, "ours failed")
log_failure(logging.getLogger("theirs").exception, "theirs failed")
logging.getLogger("httpx").info("theirs at info")
"""


def logged(**environment: str) -> str:
    """What the program writes to standard error, and to nowhere else."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"SECRET": SECRET} | environment,
        capture_output=True,
        check=True,
    )
    assert done.stdout == b""
    return done.stderr.decode()


@pytest.mark.parametrize("format_", ["json", "auto"])
def test_each_line_of_a_pipe_is_one_json_object(format_: str) -> None:
    lines = [orjson.loads(line) for line in logged(FORMAT=format_).splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("hello", "info"),
        ("ours failed", "error"),
        ("theirs failed", "error"),
    ]
    assert lines[0]["tenant"] == "acme"
    assert all(line["timestamp"].endswith("Z") for line in lines)


@pytest.mark.parametrize("format_", ["json", "human"])
def test_logged_exception_names_places_and_no_values(format_: str) -> None:
    text = logged(FORMAT=format_)
    assert text.count("it broke") >= 2
    assert "log_failure" in text
    assert SECRET not in text


def test_people_get_a_readable_line_for_each_event() -> None:
    lines = logged(FORMAT="human").splitlines()
    for event in ("hello", "ours failed", "theirs failed"):
        assert sum(event in line for line in lines) == 1


def test_level_decides_what_is_logged() -> None:
    assert "at debug" in logged(FORMAT="json", LEVEL="debug")
    assert "hello" not in logged(FORMAT="json", LEVEL="warning")
