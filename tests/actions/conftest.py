"""A receiver on the loopback, and outbound calls that end there whatever host they are meant for."""

from collections.abc import AsyncIterator

import pytest

from automations.http import Http
from tests.actions.stage import Rerouted
from tests.receivers import Receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


@pytest.fixture
async def http(receiver: Receiver) -> AsyncIterator[Http]:
    client = Rerouted(receiver.url)
    yield client
    await client.aclose()
