"""What waits for agents. Those who ask at the same time are answered by the same two statements."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from automations.database import Connection, Database, load_queries
from automations.orchestration.agents import canonical_labels

queries = load_queries("orchestration")


@dataclass(frozen=True)
class Question:
    """An agent asks for runs that may start `before` a time. `agent_id`: the agent that lives, if one does."""

    tenant_id: UUID
    labels: str
    before: datetime
    agent_id: UUID | None
    answer: asyncio.Future[list[UUID]] = field(repr=False, compare=False)


class AgentQueue:
    """Gathers questions while the last ones are being answered: a question is never answered with older news."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._questions: list[Question] = []
        self._answering: asyncio.Task[None] | None = None

    async def ask(
        self, tenant_id: UUID, *, labels: Sequence[str], before: datetime | None, agent_id: UUID | None
    ) -> list[UUID]:
        """Ids of the runs that an agent with these labels may take, soonest first, 25 at most.

        Asking is an agent's only sign of life: it sets `last_queried`. `before` is now by default.
        """
        answer: asyncio.Future[list[UUID]] = asyncio.get_running_loop().create_future()
        question = Question(tenant_id, canonical_labels(labels), before or datetime.now(UTC), agent_id, answer)
        self._questions.append(question)
        if self._answering is None or self._answering.done():
            self._answering = asyncio.create_task(self._answer())
        return await answer

    async def _answer(self) -> None:
        while self._questions:
            questions, self._questions = self._questions, []
            try:
                async with self._database.connection() as connection:
                    answers = await answer_all(connection, questions, now=datetime.now(UTC))
            except Exception as error:
                for question in questions:
                    _settle(question, error)
            else:
                for question, answer in zip(questions, answers, strict=True):
                    _settle(question, answer)


async def answer_all(connection: Connection, questions: Sequence[Question], *, now: datetime) -> list[list[UUID]]:
    """Note who asks, and return what waits for each."""
    agents = {(question.tenant_id, question.agent_id) for question in questions if question.agent_id is not None}
    if agents:
        await touch_agents(connection, list(agents), now=now)
    # Those who differ in the time only are asked for together, up to the latest time.
    latest: dict[tuple[UUID, str], datetime] = {}
    for question in questions:
        key = question.tenant_id, question.labels
        latest[key] = max(latest.get(key, question.before), question.before)
    due: dict[tuple[UUID, str], list[tuple[UUID, datetime]]] = {key: [] for key in latest}
    keys = list(latest)
    async for row in queries.runs_in_queues(
        connection,
        tenant_ids=[tenant_id for tenant_id, _ in keys],
        labels=[labels for _, labels in keys],
        befores=list(latest.values()),
        now=now,
    ):
        due[keys[row["place"] - 1]].append((row["id"], row["state_start_time"]))
    return [
        [run_id for run_id, start_time in due[question.tenant_id, question.labels] if start_time <= question.before]
        for question in questions
    ]


async def touch_agents(connection: Connection, agents: Sequence[tuple[UUID, UUID | None]], *, now: datetime) -> None:
    """Note that these (tenant, agent) live."""
    await queries.touch_agents(
        connection,
        tenant_ids=[tenant_id for tenant_id, _ in agents],
        agent_ids=[agent_id for _, agent_id in agents],
        now=now,
    )


def _settle(question: Question, answer: list[UUID] | Exception) -> None:
    if question.answer.done():  # who asked has gone
        return
    if isinstance(answer, Exception):
        question.answer.set_exception(answer)
    else:
        question.answer.set_result(answer)
