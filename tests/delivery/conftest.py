from uuid import UUID

import pytest

from automations.database import DedicatedConnection
from tests.delivery.ledger import Ledger


@pytest.fixture
def ledger(connection: DedicatedConnection, tenant_id: UUID) -> Ledger:
    """The ledger of the default tenant."""
    return Ledger(connection, tenant_id)
