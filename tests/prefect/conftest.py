"""Tests with the client from PyPI run where TESTS_PREFECT is set: its installation takes minutes."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from automations.access.keys import create_key
from automations.access.roles import Role
from automations.database import DedicatedConnection
from tests.harness import Automations, running
from tests.prefect.client import Prefect, cloud
from tests.prefect.wheel import Unavailable, interpreter

VARIABLE = "TESTS_PREFECT"


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python that has Prefect 1."""
    asked = os.environ.get(VARIABLE)
    if not asked:
        pytest.skip(f"set {VARIABLE}=1 to run this, or {VARIABLE}=try")
    try:
        return interpreter()
    except Unavailable as error:
        if asked == "try":
            pytest.skip(str(error))
        raise


@pytest.fixture
def mode() -> str:
    """How the client speaks: as to a server that asks for no key; tests that ask for "cloud" show keys."""
    return "server"


@pytest.fixture
async def keys(mode: str, connection: DedicatedConnection, tenant_id: UUID) -> dict[Role, str]:
    """An API key of each role; the agent's reads secrets. None in the server mode."""
    if mode == "server":
        return {}
    made = {
        role: await create_key(connection, tenant_id, name=role.value, role=role, reads_secrets=role is Role.AGENT)
        for role in Role
    }
    return {role: key.text for role, key in made.items()}


@pytest.fixture
async def server(keys: dict[Role, str], database_url: str, tmp_path: Path) -> AsyncIterator[Automations]:
    """A running server; in the cloud mode it asks for keys, and an admin speaks."""
    async with running(database_url, tmp_path, auth="on" if keys else "off") as automations:
        yield automations.with_key(keys[Role.ADMIN]) if keys else automations


@pytest.fixture
def prefect(python: Path, server: Automations, keys: dict[Role, str], tmp_path: Path) -> Prefect:
    """Prefect 1, told of the test's server: a person who writes flows, and agents."""
    home = tmp_path / "home"
    home.mkdir()
    if not keys:
        return Prefect(python, server.url, home)
    return Prefect(python, server.url, home, cloud(keys[Role.EDITOR]), cloud(keys[Role.AGENT]))
