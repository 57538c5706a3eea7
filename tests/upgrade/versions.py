"""An earlier version of the program, taken out of the history and installed by its own lock."""

import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

from tests.harness import Program

ROOT = Path(__file__).parent.parent.parent
LOCK = "requirements.lock"
MIGRATIONS = "sql/migrations"


class NotAtHand(RuntimeError):
    """The earlier version cannot be had here; the message says why."""


def earlier_revision() -> str:
    """The last release, or where there is none, what came before the newest migration."""
    if _git("rev-parse", "--is-shallow-repository") == "true":
        raise NotAtHand("the history is shallow: git fetch --unshallow --tags")
    try:
        return _git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^")
    except NotAtHand:
        return _git("log", "-1", "--diff-filter=A", "--format=%h^", "--", MIGRATIONS)


def install(revision: str, folder: Path) -> Program:
    """Put a revision into this folder, and its dependencies into an environment of its own unless they are ours."""
    with tarfile.open(fileobj=BytesIO(_run("git", "archive", "--format=tar", revision))) as archive:
        archive.extractall(folder, filter="data")
    if (folder / LOCK).read_bytes() == (ROOT / LOCK).read_bytes():
        return Program(sys.executable, folder)
    _run("make", "--silent", "-C", str(folder), f"PYTHON={sys.executable}", ".venv/.run")
    return Program(str(folder / ".venv/bin/python"), folder)


def _git(*arguments: str) -> str:
    return _run("git", *arguments).decode().strip()


def _run(*command: str) -> bytes:
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise NotAtHand(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise NotAtHand(f"{' '.join(command)}: {error.stderr.decode().strip()}") from None
