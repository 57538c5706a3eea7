"""`python -m tests.prefect.record`: lets the real client work through a proxy, and keeps what it says for the tests.

Writes recorded.json beside this file; it takes a minute. Afterwards the test of the recording needs no client.
"""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from tests.harness import Automations, ServerProcess
from tests.prefect.client import FLOWS, Prefect
from tests.prefect.recorder import Recorder
from tests.prefect.test_runs import reach
from tests.prefect.wheel import interpreter

RECORDED = Path(__file__).with_name("recorded.json")


async def work(prefect: Prefect, server: Automations) -> None:
    """A day in the life of a client."""
    ids = await prefect.register("success", "failure", "retry", "long", "named")
    config = (await server.write("create_agent_config", name="group", settings={}))["id"]
    async with prefect.agent("--agent-config-id", config):
        await prefect.cli("run", "--project", "real", "--name", "success", "--watch")
        for name, end in (("failure", "Failed"), ("retry", "Success"), ("named", "Success")):
            await reach(server, await server.run(ids[name]), end)
        long = await server.run(ids["long"])
        await reach(server, long, "Running")
        await asyncio.sleep(2)  # for a heartbeat
        await server.write("cancel_flow_run", "state", flow_run_id=long)
        await reach(server, long, "Cancelled")
    [run] = (await server.execute('{ flow_run(where: {flow: {name: {_eq: "success"}}}) { id } }'))["flow_run"]
    await prefect.script("views", ids["success"], run["id"])
    await prefect.script("calls", ids["success"])
    await prefect.cli("register", "--project", "real", "--path", str(FLOWS / "shelf.py"), "--name", "failure")
    for command in ("flows", "projects", "flow-runs", "tasks", "logs"):
        await prefect.cli("get", command, *(("--id", run["id"]) if command == "logs" else ()))
    await prefect.cli("describe", "flows", "--name", "success")
    await prefect.cli("describe", "tasks", "--name", "success")


async def main() -> None:
    python = interpreter()
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        home.mkdir()
        process = await ServerProcess.start(Path(folder) / "data")
        scrubbed = {
            str(home): "/home/user/.prefect", str(python.parent.parent): "/home/user/venv",
            str(FLOWS): "/home/user/flows",
        }  # fmt: skip
        recorder = Recorder(process.url, scrubbed)
        try:
            async with process.client() as server:
                with recorder.serving() as url:
                    through = Automations(url, server.client)
                    await work(Prefect(python, url, home), _Through(server.url, server.client, through))
        finally:
            await process.stop()
    lines = ",\n".join(json.dumps(exchange) for exchange in recorder.exchanges)
    RECORDED.write_text(f"[\n{lines}\n]\n")


class _Through(Automations):
    """Reads what happens from the server itself; writes through the proxy, for they belong to the recording."""

    def __init__(self, url: str, client: Any, through: Automations) -> None:
        super().__init__(url, client)
        self.through = through

    async def write(self, mutation: str, fields: str = "id", /, **input_: Any) -> Any:
        query = f"mutation($input: {mutation}_input!) {{ {mutation}(input: $input) {{ {fields} }} }}"
        body = {"query": query, "variables": json.dumps({"input": input_})}
        response = await self.client.post(self.through.url, json=body)
        return response.json()["data"][mutation]


if __name__ == "__main__":
    asyncio.run(main())
