"""The command line as a person meets it: exit codes, and messages of one line that say what to do."""

import asyncio
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from automations.cli import main
from automations.database import DedicatedConnection
from tests.harness import GraphQLError, ServerProcess, eventually
from tests.receivers import refusing_port

SECRET = "hunter2-and-more"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


async def automations(*arguments: str, **settings: str) -> Done:
    """Run the command in a process of its own with these settings and no others."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOMATIONS_")}
    environment |= {f"AUTOMATIONS_{name.upper()}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "automations", *arguments,
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


def complaint(done: Done) -> str:
    """The one line that a command ended with."""
    [line] = done.err.splitlines()
    assert line.startswith("automations: ")
    return line.removeprefix("automations: ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["serve"],
        ["migrate"],
        ["detach"],
        ["doctor"],
        ["status"],
        ["backup"],
        ["restore"],
        ["secrets"],
        ["secrets", "rotate"],
        ["key"],
        ["key", "create"],
        ["key", "list"],
        ["key", "revoke"],
        ["schema"],
        ["demo"],
        ["apply"],
        ["diff"],
        ["export"],
    ],
)
def test_help_of_every_command_succeeds(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {' '.join(['automations', *arguments])}")


@pytest.mark.parametrize("arguments", [[], ["fly"], ["serve", "--fly"], ["apply"], ["export", "-f", "x"]])
def test_unknown_arguments_are_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: automations")


def test_wrong_settings_are_all_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("MAX_ROWS", "LOG_LEVEL", "PROT"):
        monkeypatch.setenv(f"AUTOMATIONS_{name}", SECRET)
    assert main(["serve"]) == 2
    told = capsys.readouterr().err
    assert "AUTOMATIONS_MAX_ROWS: must be a whole number" in told
    assert "AUTOMATIONS_LOG_LEVEL: must be one of" in told
    assert "AUTOMATIONS_PROT: there is no such setting; did you mean AUTOMATIONS_PORT?" in told
    assert SECRET not in told
    assert len(told.splitlines()) == 3


async def test_rate_of_an_unknown_action_is_a_wrong_setting(tmp_path: Path, database_url: str) -> None:
    done = await automations(
        "serve", "--port", "0", data_dir=str(tmp_path), database_url=database_url, destination_rates="slakc=1/s"
    )
    assert done.code == 2
    assert complaint(done).startswith("AUTOMATIONS_DESTINATION_RATES: the actions are slack_notification, ")


async def test_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = await automations("serve", "--port", str(port), data_dir=str(tmp_path))
    assert done.code == 2
    assert complaint(done).startswith(f"AUTOMATIONS_PORT: cannot listen on 127.0.0.1:{port}: Address already in use.")


async def test_listening_beyond_the_loopback_without_keys_needs_a_second_word(tmp_path: Path) -> None:
    done = await automations("serve", "--host", "0.0.0.0", "--port", "0", data_dir=str(tmp_path), auth="off")
    assert done.code == 2
    assert "0.0.0.0 can be reached from other machines" in complaint(done)
    assert complaint(done).startswith("AUTOMATIONS_AUTH: is off")
    assert "--allow-unauthenticated" in done.err


async def test_second_word_lets_it_listen_beyond_the_loopback(tmp_path: Path, database_url: str) -> None:
    server = await ServerProcess.start(tmp_path, database_url, host="0.0.0.0", auth="off", allow_unauthenticated="yes")
    assert server.url.startswith("http://0.0.0.0:")
    async with server.client() as anybody:
        assert await anybody.execute("{ hello }")
    assert await server.stop() == 0


async def test_beyond_the_loopback_keys_are_asked_for(tmp_path: Path, database_url: str) -> None:
    """Even where the second word was said, as long as nobody switched them off."""
    server = await ServerProcess.start(tmp_path, database_url, host="0.0.0.0", allow_unauthenticated="yes")
    async with server.client() as anybody:
        with pytest.raises(GraphQLError, match="Send a valid API key"):
            await anybody.execute("{ hello }")
    assert await server.stop() == 0


async def test_server_that_asks_for_keys_says_how_to_make_the_first_one(tmp_path: Path, database_url: str) -> None:
    for has_key in (False, True):
        server = await ServerProcess.start(tmp_path, database_url, auth="on", log_format="json")
        await server.stop()
        assert any("automations key create" in line for line in server.log) is not has_key
        await automations("key", "create", "first", "--role", "admin", database_url=database_url)


async def test_migrate_says_what_it_did(empty_database_url: str) -> None:
    first = await automations("migrate", database_url=empty_database_url)
    assert (first.code, first.out) == (0, "22 migrations applied\n")
    second = await automations("migrate", database_url=empty_database_url)
    assert (second.code, second.out) == (0, "The database is at the newest schema\n")


async def test_database_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    with refusing_port() as port:
        url = f"postgresql://me:{SECRET}@127.0.0.1:{port}/x"
        ended = await asyncio.gather(
            *(
                automations(command, database_url=url, data_dir=str(tmp_path), port="0")
                for command in ("serve", "migrate")
            )
        )
    for done in ended:
        assert done.code == 1
        assert complaint(done).startswith("The database of AUTOMATIONS_DATABASE_URL cannot be used: ")
        assert SECRET not in done.err


@pytest.mark.parametrize("command", ["migrate", "status", "doctor", "detach"])
async def test_text_that_is_no_database_url_is_a_wrong_setting(command: str) -> None:
    done = await automations(command, database_url=f"{SECRET}://nowhere")
    assert done.code == 2
    assert complaint(done) == "AUTOMATIONS_DATABASE_URL: is not the URL of a PostgreSQL database"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f"{SECRET}://nowhere", "is not the URL of a PostgreSQL database"),
        (f"postgresql://me:{SECRET}@127.0.0.1:1/x", "that database cannot be used: "),
    ],
)
@pytest.mark.parametrize("setting", ["read_database_url", "pooled_database_url"])
async def test_standby_or_pooler_that_cannot_be_used_stops_the_start(
    database_url: str, tmp_path: Path, setting: str, url: str, problem: str
) -> None:
    chosen = {"database_url": database_url, setting: url}
    done = await automations("serve", data_dir=str(tmp_path), port="0", **chosen)
    assert done.code == 2
    assert complaint(done).startswith(f"AUTOMATIONS_{setting.upper()}: {problem}")
    assert SECRET not in done.err


async def test_key_that_is_none_is_a_wrong_setting(tmp_path: Path, database_url: str) -> None:
    done = await automations("serve", port="0", data_dir=str(tmp_path), database_url=database_url, secret_keys=SECRET)
    assert done.code == 2
    assert "AUTOMATIONS_SECRET_KEYS" in done.err.splitlines()[-1]
    assert SECRET not in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_signal_in_the_middle_of_the_start_unwinds_it(
    connection: DedicatedConnection, database_url: str, number: signal.Signals, code: int
) -> None:
    await connection.execute("SELECT pg_advisory_lock(7305804401)")  # as a process that migrates: the other one waits
    starting = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "automations", "migrate",
        env={**os.environ, "AUTOMATIONS_DATABASE_URL": database_url},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip

    async def is_waiting() -> bool:
        others = """
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'automations' AND pid <> pg_backend_pid()
        """
        return bool(await connection.fetchval(others))

    await eventually(is_waiting, 60)
    starting.send_signal(number)
    async with asyncio.timeout(30):
        _, told = await starting.communicate()
    assert starting.returncode == code
    assert b"Traceback" not in told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_the_server_in_order(tmp_path: Path, database_url: str, number: signal.Signals) -> None:
    server = await ServerProcess.start(tmp_path, database_url)
    server.process.send_signal(number)
    async with asyncio.timeout(30):
        assert await server.process.wait() == 0
        assert await server.stop() == 0  # it has ended: this reads the rest of its log
    assert any('"stopped"' in line for line in server.log)
    assert not any("Traceback" in line for line in server.log)
