"""The Prefect 1 client as PyPI has it, in a virtual environment of its own that is built once and kept."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# What runs on Python 3.11; the client names upper bounds for none of these.
REQUIREMENTS = ("prefect==1.4.1", "marshmallow<3.20", "marshmallow-oneofschema<3.1", "pendulum<3", "setuptools<81")


def interpreter() -> Path:
    """Path of the Python that has the client; it is installed at first."""
    folder = Path(tempfile.gettempdir()) / f"automations-prefect-1.4.1-{os.getuid()}"
    python = folder / "bin" / "python"
    done = folder / "installed"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        base = shutil.which("python3.11") or sys.executable
        subprocess.run([base, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qq", *REQUIREMENTS], check=True)
        done.touch()
    return python
