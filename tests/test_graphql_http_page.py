"""docs/graphql-http.md says what is true: its example runs, its limits are the settings' and the constants'."""

import asyncio
import re
import sys
from dataclasses import fields
from pathlib import Path

from automations.api import limits
from automations.api.limits import Limits
from automations.api.subscriptions.hub import MOST_WAITING_ROWS
from automations.settings import PREFIX, Settings
from tests.harness import Automations

PAGE = (Path(__file__).parent.parent / "docs" / "graphql-http.md").read_text()
OPEN = "open"


async def test_example_hears_of_a_run(server: Automations, tmp_path: Path) -> None:
    [example] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    url = server.url.replace("http://", "ws://") + "/graphql"
    script = tmp_path / "example.py"
    script.write_text(example.replace("ws://127.0.0.1:4200/graphql", url))
    process = await asyncio.create_subprocess_exec(sys.executable, script, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        flow = await server.flow()
        heard = asyncio.ensure_future(process.stdout.readline())
        async with asyncio.timeout(30):
            while not heard.done():  # until the example has subscribed
                await server.run(flow, flow_run_name="of the example")
                await asyncio.sleep(0.2)
        assert heard.result().decode().strip() == "{'name': 'of the example', 'state': 'Scheduled'}"
    finally:
        process.kill()
        await process.wait()


def test_page_has_each_limit_as_it_is() -> None:
    table = dict(re.findall(r"\| ([^|]+) \| `(AUTOMATIONS_[A-Z_]+)` \|", PAGE))
    told = {name: allowed for allowed, name in table.items()}
    known = {item.name for item in fields(Settings)}
    assert {name.removeprefix(PREFIX).lower() for name in told} <= known
    for name, allowed in told.items():
        value = getattr(Settings(), name.removeprefix(PREFIX).lower())
        assert allowed == (f"{value:,}" if value else OPEN), name
    assert Limits.of(Settings()) == Limits()


def test_page_has_each_constant_as_it_is() -> None:
    for value in (
        limits.MOST_FIELDS,
        limits.MOST_RELATIONS,
        limits.MOST_FILTER_RELATIONS,
        limits.MOST_VALUES,
        int(limits.LONGEST_READ_SECONDS),
        MOST_WAITING_ROWS,
    ):
        assert f"| {value:,} | |" in PAGE
