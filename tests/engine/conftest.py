from uuid import UUID

import pytest

from automations.database import DedicatedConnection
from tests.engine.watched import Watched


@pytest.fixture
def watched(connection: DedicatedConnection, tenant_id: UUID) -> Watched:
    """The watched side of the default tenant."""
    return Watched(connection, tenant_id)
