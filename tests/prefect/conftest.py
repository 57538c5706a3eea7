"""Tests with the client from PyPI run where TESTS_PREFECT is set: its installation takes minutes."""

import os
from pathlib import Path

import pytest

from tests.harness import Automations
from tests.prefect.client import Prefect
from tests.prefect.wheel import interpreter

VARIABLE = "TESTS_PREFECT"


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python that has Prefect 1."""
    if not os.environ.get(VARIABLE):
        pytest.skip(f"set {VARIABLE}=1 to run this")
    return interpreter()


@pytest.fixture
def prefect(python: Path, server: Automations, tmp_path: Path) -> Prefect:
    """Prefect 1, told of a server of the test's own."""
    home = tmp_path / "home"
    home.mkdir()
    return Prefect(python, server.url, home)
