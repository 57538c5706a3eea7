"""`automations apply`, `diff` and `export`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from automations.client import AutomationsClient, AutomationsError
from automations.files.carrying_out import carry_out
from automations.files.document import read_document
from automations.files.plan import Plan, make_plan
from automations.files.problems import Place, Problems
from automations.files.server_state import State, exported, read_state
from automations.files.show import show_done, show_plan
from automations.files.source import Value, dump, load
from automations.terminal import confirmed, fail

STANDARD_INPUT = "-"

_HEADER = "# Written by `automations export`; secrets are named here, never shown.\n"


def apply(client: AutomationsClient, files: Sequence[str], *, prune: bool, yes: bool, dry_run: bool) -> int:
    """Show what has to be done and do it; 0 done or nothing to do, 1 not done or not all of it, 2 files are wrong."""
    console = Console(highlight=False)
    plan, state = _plan(client, files, prune=prune)
    show_plan(plan, console)
    if not plan.changes or dry_run:
        return 0
    if not yes and not confirmed(can_ask=STANDARD_INPUT not in files):
        return 1
    done = 0
    try:
        for change in carry_out(plan, client, state.directory.actions):
            show_done(change, console)
            done += 1
    except AutomationsError as error:
        change = plan.changes[done]
        return fail(
            1,
            f"{change.noun} {change.name!r}: {error}\n"
            f"{done} of {len(plan.changes)} changes were made. Apply again to go on from there.",
        )
    return 0


def diff(client: AutomationsClient, files: Sequence[str], *, prune: bool) -> int:
    """Show what apply would do; 0 nothing, 1 something, 2 that cannot be told."""
    plan, _ = _plan(client, files, prune=prune)
    show_plan(plan, Console(highlight=False))
    return 1 if plan.changes else 0


def export(client: AutomationsClient) -> int:
    """Print what the server has, as a file."""
    sys.stdout.write(_HEADER + dump(exported(read_state(client))))
    return 0


def _plan(client: AutomationsClient, files: Sequence[str], *, prune: bool) -> tuple[Plan, State]:
    problems = Problems()
    values = [value for file in files if (value := _load(file, problems)) is not None]
    state = read_state(client)
    document = read_document(values, state.directory, problems)
    plan = make_plan(document, state, problems, prune=prune)
    problems.check()
    return plan, state


def _load(file: str, problems: Problems) -> Value | None:
    try:
        text = sys.stdin.read() if file == STANDARD_INPUT else Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.add(Place(file, 1), f"The file cannot be read: {reason}.")
        return None
    return load(text, file, problems)
