"""What tests of firing need: an action that ends at once, and a way to know that evaluation is done."""

from collections import Counter
from typing import Any

from tests.harness import Automations, eventually

# Sending it fails at once, because there is no such secret: nothing leaves, and nothing is tried again.
QUIET: dict[str, Any] = {"slack_notification": {"webhook_url_secret": "NEVER_SET"}}


def states(*names: str, **more: Any) -> dict[str, Any]:
    """An event: a run enters one of these states."""
    return {"flow_run_state_changed": {"states": list(names), **more}}


async def firings(api: Automations) -> Counter[str]:
    """How often each automation fired, once all state changes that were made before are evaluated.

    A state change of our own comes last: when the automation that waits for it has fired, so have the others.
    """
    witness = await api.automation(QUIET, name="witness", event=states("Paused"))
    run = await api.run(await api.flow())
    await api.set_state(run, "Paused")

    async def seen() -> list[dict[str, Any]] | None:
        rows = (await api.execute("{ firing(limit: 1000) { automation_id automation { name } } }"))["firing"]
        return rows if any(row["automation_id"] == witness for row in rows) else None

    rows = await eventually(seen)
    await api.write("delete_automation", "success", automation_id=witness)
    return Counter(row["automation_id"] for row in rows if row["automation"]["name"] != "witness")


async def run_enters(api: Automations, flow_id: str, *names: str) -> str:
    """Id of a new run that enters these states one after the other."""
    run = await api.run(flow_id)
    for name in names:
        await api.set_state(run, name)
    return run
