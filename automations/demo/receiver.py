"""The HTTP server that plays the providers: what it has read has arrived, whatever becomes of the answer."""

import asyncio
import time
from collections.abc import Callable

from automations.demo.gate import Gate
from automations.demo.providers import Providers, Refused
from automations.demo.tally import Arrival
from automations.demo.wire import encode, read_message


class Receiver:
    """Speaks HTTP. `on_refusal` hears why the providers did not accept a request."""

    def __init__(
        self,
        providers: Providers,
        gate: Gate,
        *,
        on_arrival: Callable[[Arrival], None],
        on_refusal: Callable[[str], None],
    ) -> None:
        self._providers, self._gate, self._on_arrival, self._on_refusal = providers, gate, on_arrival, on_refusal

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client's requests; ConnectionError once it goes."""
        while True:
            request = await read_message(reader)
            try:
                arrival, answer = self._providers.take(request, time.time())
            except (Refused, KeyError, ValueError) as error:
                self._on_refusal(repr(error))
                arrival, answer = None, encode("HTTP/1.1 400 Bad Request", b"")
            if arrival is not None:
                self._on_arrival(arrival)
                await self._gate.pass_through(arrival.kind)
            writer.write(answer)
