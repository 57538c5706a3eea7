"""`python -m tests.prefect.record`: lets the real client work through a proxy, and keeps what it says for the tests.

Writes recorded_server.json and recorded_cloud.json beside this file; it takes two minutes. Afterwards the tests of the
recordings need no client.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from automations.access.roles import Role
from tests.harness import Automations, ServerProcess
from tests.prefect.client import FLOWS, Prefect, cloud
from tests.prefect.recorder import Recorder
from tests.prefect.test_runs import reach
from tests.prefect.wheel import interpreter

RECORDED = {mode: Path(__file__).with_name(f"recorded_{mode}.json") for mode in ("server", "cloud")}


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


async def work_with_keys(prefect: Prefect, server: Automations) -> None:
    """The day of a client in the cloud mode, as far as it is another one."""
    await server.write("set_secret", "success", name="TOKEN", value={"password": "a secret of the recording"})
    key = prefect.settings.pop("PREFECT__CLOUD__API_KEY")
    await prefect.cli("auth", "login", "--key", key)
    await prefect.cli("auth", "list-tenants")
    await prefect.cli("auth", "switch-tenants", "--slug", "default")
    ids = await prefect.register("success", "secretive")
    async with prefect.agent():
        await reach(server, await server.run(ids["success"]), "Success")
        await reach(server, await server.run(ids["secretive"]), "Success")
        await reach(server, await server.run(ids["secretive"], parameters={"name": "OTHER"}), "Failed")


async def record(mode: str, python: Path, folder: Path) -> list[dict[str, Any]]:
    """What was said in a mode: requests and answers, without a trace of the machine and of its keys."""
    home = folder / "home"
    home.mkdir()
    process = await ServerProcess.start(folder / "data", auth="on" if mode == "cloud" else "off")
    try:
        keys = {role: await _key(folder / "data", role) for role in Role} if mode == "cloud" else {}
        scrubbed = {
            str(home): "/home/user/.prefect", str(python.parent.parent): "/home/user/venv",
            str(FLOWS): "/home/user/flows", **{key: role.value for role, key in keys.items()},
        }  # fmt: skip
        recorder = Recorder(process.url, scrubbed)
        async with process.client() as server:
            with recorder.serving() as url:
                if keys:
                    prefect = Prefect(python, url, home, cloud(keys[Role.EDITOR]), cloud(keys[Role.AGENT]))
                    await work_with_keys(prefect, _Through(server.with_key(keys[Role.ADMIN]), url))
                else:
                    await work(Prefect(python, url, home), _Through(server, url))
    finally:
        await process.stop()
    return recorder.exchanges


async def main() -> None:
    python = interpreter()
    for mode, file in RECORDED.items():
        with tempfile.TemporaryDirectory(dir="/tmp") as name:
            folder = Path(name)
            folder.chmod(0o755)
            exchanges = await record(mode, python, folder)
        lines = ",\n".join(json.dumps(exchange) for exchange in exchanges)
        file.write_text(f"[\n{lines}\n]\n")


async def _key(data_dir: Path, role: Role) -> str:
    """A new API key, made on the command line."""
    reads_secrets = ("--reads-secrets",) if role is Role.AGENT else ()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "automations", "key", "create", role.value, "--role", role.value, *reads_secrets,
        env={**os.environ, "AUTOMATIONS_DATA_DIR": str(data_dir)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    output, _ = await process.communicate()
    return output.decode().strip()


class _Through(Automations):
    """Reads what happens from the server itself; writes through the proxy, for they belong to the recording."""

    def __init__(self, server: Automations, proxy: str) -> None:
        super().__init__(server.url, server.client, server.headers)
        self.proxy = proxy

    async def write(self, mutation: str, fields: str = "id", /, **input_: Any) -> Any:
        query = f"mutation($input: {mutation}_input!) {{ {mutation}(input: $input) {{ {fields} }} }}"
        body = {"query": query, "variables": json.dumps({"input": input_})}
        response = await self.client.post(self.proxy, json=body, headers=self.headers)
        return response.json()["data"][mutation]


if __name__ == "__main__":
    asyncio.run(main())
