"""What runs log."""

from datetime import datetime
from uuid import UUID

import strawberry

from automations.access.roles import AGENTS
from automations.api.fields import mutation, optional
from automations.api.payloads import SuccessPayload
from automations.api.scalars import Json
from automations.orchestration.logs import Line, write_logs


@strawberry.input(name="write_run_log_input", description="A line that a run logged.")
class WriteRunLogInput:
    flow_run_id: UUID | None = optional("The flow run.")
    task_run_id: UUID | None = optional("The task run, where one logged it.")
    timestamp: datetime | None = optional("When it was logged; now by default.")
    name: str | None = optional("Name of the logger.")
    level: str | None = optional("DEBUG, INFO, WARNING, ERROR or CRITICAL.")
    message: str | None = optional("The line.")
    info: Json | None = optional("What else the logger knew.")


@strawberry.input(name="write_run_logs_input", description="Lines that runs logged.")
class WriteRunLogsInput:
    logs: list[WriteRunLogInput] = strawberry.field(description="The lines; one alone needs no list.")


@strawberry.type
class LogMutations:
    @mutation("Write lines that runs logged; those of runs that are gone are dropped.", by=AGENTS, on_backend=True)
    async def write_run_logs(self, info: strawberry.Info, input: WriteRunLogsInput) -> SuccessPayload | None:
        lines = [
            Line(line.flow_run_id, line.task_run_id, line.timestamp, line.name, line.level, line.message, line.info)
            for line in input.logs
        ]
        async with info.context.database.connection() as connection:
            await write_logs(connection, info.context.tenant_id, lines)
        return SuccessPayload()
