"""What the real client said once (`python -m tests.prefect.record`) is said again, and answered in the same shape."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from automations.access.roles import Role
from tests.harness import Automations
from tests.prefect.recorder import UUID

RECORDED = {mode: Path(__file__).with_name(f"recorded_{mode}.json") for mode in ("server", "cloud")}
TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


class Replay:
    """Says the recorded again, with the ids that this server gave, at the time it is now."""

    def __init__(self, server: Automations, keys: dict[Role, str], began: datetime) -> None:
        self.server, self.keys, self.later = server, keys, datetime.now(UTC) - began
        self.ids: dict[str, str] = {}

    def now(self, text: str) -> str:
        """A recorded text as it has to be said now."""
        text = UUID.sub(lambda found: self.ids.get(found[0], found[0]), text)
        return TIME.sub(lambda found: (datetime.fromisoformat(found[0]) + self.later).isoformat(), text)

    async def say(self, exchange: dict[str, Any]) -> Any:
        """The answer."""
        body = {"query": self.now(exchange["query"]), "variables": self.now(exchange["variables"])}
        headers = {name: self.now(value) for name, value in exchange["headers"].items()}
        if said := next((name for name in headers if name.lower() == "authorization"), None):
            headers[said] = f"Bearer {self.keys[Role(headers[said].removeprefix('Bearer '))]}"
        response = await self.server.client.post(self.server.url, json=body, headers=headers)
        assert response.status_code == 200, response.text
        return orjson.loads(response.content)

    def compare(self, then: Any, now: Any, path: str) -> None:
        """Learn the ids of an answer; what differs but ids, times and numbers of rows is an error."""
        assert type(then) is type(now) or None in {then, now}, f"{path}: {then!r} was {now!r}"
        if isinstance(then, dict) and isinstance(now, dict):
            if "JSON" not in path:
                assert then.keys() == now.keys(), path
            for key in then.keys() & now.keys():
                inner = "JSON " if key in {"serialized_state", "parameters", "schedule"} else ""
                self.compare(then[key], now[key], f"{inner}{path}.{key}")
        elif isinstance(then, list):
            # Rows come in no certain order unless one is asked for; those of tasks can be told apart.
            pairs = zip(sorted(then, key=_task), sorted(now, key=_task), strict=False)
            for index, (one, other) in enumerate(pairs):
                self.compare(one, other, f"{path}[{index}]")
        elif isinstance(then, str) and UUID.fullmatch(then) and isinstance(now, str):
            self.ids.setdefault(then, now)


def _task(row: Any) -> tuple[str, int]:
    if not isinstance(row, dict) or "task" not in row:
        return "", 0
    return row["task"]["slug"], row.get("map_index", 0)


async def replay(server: Automations, keys: dict[Role, str], mode: str) -> None:
    """Say all that was said in this mode."""
    recorded = orjson.loads(RECORDED[mode].read_bytes())
    times = [found for exchange in recorded for found in TIME.findall(orjson.dumps(exchange["answer"]).decode())]
    player = Replay(server, keys, min(map(datetime.fromisoformat, times)))
    for exchange in recorded:
        answer = await player.say(exchange)
        name = f"{exchange['query']} {exchange['variables']}"
        codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
        assert codes == [error["extensions"]["code"] for error in exchange["answer"].get("errors", [])], (name, answer)
        player.compare(exchange["answer"].get("data"), answer.get("data"), name[:200])


async def ends(server: Automations) -> list[tuple[str, str]]:
    """Flow and state of each run."""
    data = await server.execute("{ flow_run(order_by: [{flow: {name: asc}}, {state: asc}]) { state flow { name } } }")
    return [(run["flow"]["name"], run["state"]) for run in data["flow_run"]]


async def test_recorded_client_is_answered_as_it_was(server: Automations) -> None:
    await replay(server, {}, "server")
    # All that was done then is done again.
    assert [end for end in await ends(server) if end[0] != "success"] == [
        ("failure", "Failed"), ("long", "Cancelled"), ("named", "Success"), ("retry", "Success"),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["cloud"])
async def test_recorded_client_with_keys_is_answered_as_it_was(
    server: Automations, keys: dict[Role, str], mode: str
) -> None:
    await replay(server, keys, mode)
    assert await ends(server) == [("secretive", "Failed"), ("secretive", "Success"), ("success", "Success")]


@pytest.mark.parametrize("mode", RECORDED)
def test_recording_knows_no_machine_and_no_key(mode: str) -> None:
    text = RECORDED[mode].read_text()
    assert not re.findall(r"/(?:root|tmp|work|opt)\b[^\"]*", text)
    assert "automations_" not in text
