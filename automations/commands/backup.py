"""`automations backup` and `restore`: everything that PostgreSQL holds in one file, and back.

PostgreSQL's own pg_dump and pg_restore do it. They come with the embedded server, and read and write older ones too.
"""

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from automations.commands.shared import bring_up_to_date, connected, database_url, load_vault
from automations.database import CLIENT_ERRORS, load_queries
from automations.definitions.secrets import unreadable_secrets
from automations.postgres_install import find_binaries
from automations.settings import Settings
from automations.vault import KEY_FILE, Vault

queries = load_queries("backup")


def add(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    backup = commands.add_parser(
        "backup",
        help="write everything that the database holds to a file",
        description="Write everything that the database holds, as it is at one moment, to a file. Servers go on.",
        epilog="The key that opens secrets is not in the file: keep a copy of it in another place.",
    )
    backup.add_argument("file", help="where to write it; - is the output")
    backup.set_defaults(command=run_backup)
    restore = commands.add_parser(
        "restore",
        help="fill an empty database from a backup",
        description="Fill an empty database from a backup: all of it or nothing. To move to another PostgreSQL: "
        "automations backup - | AUTOMATIONS_DATABASE_URL=... automations restore -",
    )
    restore.add_argument("file", help="a file that backup wrote; - is the input")
    restore.set_defaults(command=run_restore)
    for command in (backup, restore):
        command.add_argument("--data-dir", help="folder of the embedded PostgreSQL")


def run_backup(settings: Settings, options: argparse.Namespace) -> int:
    """Write the backup. ValueError says why there is none; a file of that name is left as it was then."""
    file = options.file
    with database_url(settings) as url, _written(file) as output:
        _run("pg_dump", url, ["--format=custom", "--no-owner", "--no-privileges"], output=output)
    if file != "-":
        sys.stderr.write(
            f"{Path(file).stat().st_size:,} bytes. The key that opens the secrets is not among them: it is in the file "
            f"{KEY_FILE} of the data folder, or in AUTOMATIONS_SECRET_KEYS. Keep a copy in another place.\n"
        )
    return 0


def run_restore(settings: Settings, options: argparse.Namespace) -> int:
    """Fill the empty database and bring it to the newest schema. ValueError says why not; it is empty still then."""
    with database_url(settings) as url:
        unreadable = _restore(url, options.file, settings)
    sys.stderr.write("Restored.\n")
    if unreadable:
        sys.stderr.write(
            f"The key of this installation does not open these secrets: {', '.join(unreadable)}. Put the file "
            f"{KEY_FILE} of the server that was backed up in the place of this one's, or set AUTOMATIONS_SECRET_KEYS.\n"
        )
    return 0


def _restore(url: str, file: str, settings: Settings) -> list[str]:
    """Names of the secrets that the keys of this installation do not open."""
    try:
        if not asyncio.run(_is_empty(url)):
            raise ValueError(
                "the database is not empty: restore into another one, with --data-dir and a new folder, or with "
                "AUTOMATIONS_DATABASE_URL"
            )
        with _read(file) as input_:
            _run(
                "pg_restore",
                url,
                ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"],
                input_=input_,
            )
        bring_up_to_date(url)
        return asyncio.run(_unreadable(url, load_vault(settings)))
    except CLIENT_ERRORS as error:
        raise ValueError(f"the database cannot be used: {error}") from None


async def _is_empty(url: str) -> bool:
    async with connected(url) as connection:
        return bool(await queries.is_empty(connection))


async def _unreadable(url: str, vault: Vault) -> list[str]:
    async with connected(url) as connection, connection.transaction():
        return await unreadable_secrets(connection, vault)


@contextmanager
def _written(file: str) -> Iterator[IO[bytes]]:
    """The output, or a file that appears once it is whole, for its owner only."""
    if file == "-":
        yield sys.stdout.buffer
        return
    path = Path(file).absolute()
    draft = path.with_name(f"{path.name}.part")
    try:
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise ValueError(f"{draft} cannot be written: {error.strerror}") from None
        with os.fdopen(descriptor, "wb") as output:
            yield output
            output.flush()
            os.fsync(output.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _read(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        opened = Path(file).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    with opened:
        yield opened


def _run(
    program: str,
    url: str,
    arguments: Sequence[str],
    *,
    input_: IO[bytes] | None = None,
    output: IO[bytes] | None = None,
) -> None:
    """Run a program of PostgreSQL on a database. ValueError with what it complained of where it failed."""
    url, password = _without_password(url)
    environment = {**os.environ, "LC_ALL": "C", **({} if password is None else {"PGPASSWORD": password})}
    ended = subprocess.run(  # noqa: S603 - every argument is ours
        [find_binaries(None) / program, f"--dbname={url}", *arguments],
        stdin=input_ or subprocess.DEVNULL,
        stdout=output or subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        check=False,
    )
    if ended.returncode != 0:
        raise ValueError(ended.stderr.decode(errors="replace").strip() or f"{program} failed")


def _without_password(url: str) -> tuple[str, str | None]:
    """The arguments of a program can be read by everybody on the machine, its environment only by its owner."""
    parts = urlsplit(url)
    user, _, hosts = parts.netloc.rpartition("@")
    name, colon, password = user.partition(":")
    if not colon:
        return url, None
    return parts._replace(netloc=f"{name}@{hosts}").geturl(), unquote(password)
