"""What the played providers have in common: every request is checked, whatever is answered to it."""

from abc import ABC, abstractmethod
from asyncio import StreamWriter
from collections import deque
from collections.abc import Iterator, Set

from tests.receivers import Behaviour, Received


class StrictProvider(ABC):
    """A behaviour of a Receiver. `refused` lists what was wrong with requests; `answer_next` plans other answers."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self._planned: deque[Behaviour] = deque()

    def answer_next(self, *behaviours: Behaviour) -> None:
        """Answer the next requests so, one each."""
        self._planned.extend(behaviours)

    async def __call__(self, received: Received, writer: StreamWriter) -> None:
        problem = next(self.problems(received), None)
        if problem is not None:
            self.refused.append(problem)
            await self.refuse(problem)(received, writer)
        elif self._planned:
            await self._planned.popleft()(received, writer)
        else:
            await self.accept(received)(received, writer)

    @abstractmethod
    def problems(self, received: Received) -> Iterator[str]:
        """What the provider would not take, each in a few words."""

    @abstractmethod
    def refuse(self, problem: str) -> Behaviour:
        """The provider's answer to a bad request."""

    @abstractmethod
    def accept(self, received: Received) -> Behaviour:
        """The provider's answer to a good request, which it keeps."""


def only_fields(value: object, required: set[str], optional: Set[str] = frozenset(), *, where: str) -> Iterator[str]:
    """Problems where an object is none, lacks a field, or has one that is not documented."""
    if not isinstance(value, dict):
        yield f"{where} is not an object"
        return
    if missing := required - set(value):
        yield f"{where} lacks {sorted(missing)}"
    if unknown := set(value) - required - optional:
        yield f"{where} has {sorted(unknown)}"
