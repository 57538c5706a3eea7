"""The Prefect 1 client as PyPI has it, in a virtual environment of its own that is built once and kept."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# What runs on Python 3.11; the client names upper bounds for none of these.
REQUIREMENTS = ("prefect==1.4.1", "marshmallow<3.20", "marshmallow-oneofschema<3.1", "pendulum<3", "setuptools<81")
INSTALL_SECONDS = 300


class Unavailable(Exception):
    """The client cannot be installed here; the text says why."""


def interpreter() -> Path:
    """Path of the Python that has the client; it is installed at first, by one process at a time."""
    folder = Path(tempfile.gettempdir()) / f"automations-prefect-1.4.1-{os.getuid()}"
    python, done = folder / "bin" / "python", folder / "installed"
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run(_base(), "-m", "venv", str(folder))
            _run(str(python), "-m", "pip", "install", "-qq", "--retries", "1", "--timeout", "20", *REQUIREMENTS)
            done.touch()
    return python


def _base() -> str:
    found = shutil.which("python3.11") or (sys.executable if sys.version_info < (3, 12) else None)
    if found is None:
        raise Unavailable("Prefect 1 needs Python 3.11, which is not installed.")
    return found


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Unavailable(f"Prefect 1 could not be installed: {' '.join(last)[:300]}") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"Prefect 1 could not be installed in {INSTALL_SECONDS} seconds.") from None
