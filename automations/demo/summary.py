"""The end of the demo: what was owed, what came of it, and the verdict."""

from collections.abc import Sequence

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from automations.demo.ledger import Ledger
from automations.demo.lines import KIND_NAMES, KIND_STYLES, duration
from automations.demo.rules import Kind
from automations.demo.tally import Phase, Tally, percentile


def find_problems(tally: Tally, ledger: Ledger, *, refused: int) -> list[str]:
    """Everything that should not be, in words; `refused` counts what the receivers could not accept."""
    owed = sum(tally.owed(kind) for kind in Kind)
    counts = {
        "owed and never seen": tally.waiting,
        "arrived without being owed, or came again under another id": tally.surprises,
        "arrived malformed, or with a wrong signature or password": refused,
        "FAILED in the ledger": ledger.failed,
        "unfinished in the ledger": ledger.unfinished,
        "between what the ledger calls DELIVERED and what was owed": abs(ledger.delivered - owed),
        "between the states accepted and those in the database": abs(ledger.state_changes - tally.state_changes),
    }
    return [f"{count} {what}" for what, count in counts.items() if count]


def summarize(tally: Tally, ledger: Ledger, problems: Sequence[str], *, repeated_calls: int) -> Group:
    """The table, what the server's ledger says, and the verdict."""
    changes = f"{tally.state_changes} accepted by the server; clients repeated {repeated_calls} calls"
    deliveries = (
        f"DELIVERED {ledger.delivered} · FAILED {ledger.failed} · unfinished {ledger.unfinished} · "
        f"taken over from the killed process {ledger.lost_attempts}"
    )
    facts = Table.grid(padding=(0, 1))
    facts.add_column(min_width=18)
    facts.add_row("  times", "p50 / p99 to the arrival, from the state, the deadline or the look that noticed")
    facts.add_row("  state changes", changes)
    facts.add_row("  ledger", deliveries)
    verdict = [Text(f"  ✗ {problem}", "bold red") for problem in problems] or [
        Text("  ✓ Nothing was lost. What was sent again kept its id.", "bold green")
    ]
    return Group(_table(tally), facts, "", *verdict)


def _table(tally: Tally) -> Table:
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, header_style="dim", border_style="bright_black")
    table.add_column()
    for name in ("owed", "arrived", "lost", "repeats", *Phase):
        table.add_column(name, justify="right")
    for kind in Kind:
        lost = tally.lost(kind)
        table.add_row(
            Text(KIND_NAMES[kind], KIND_STYLES[kind]),
            str(tally.owed(kind)),
            str(tally.arrived(kind)),
            Text(str(lost), "bold red" if lost else "bold green"),
            str(tally.repeats(kind)),
            *[_latency(tally.seconds(kind, phase)) for phase in Phase],
        )
    return table


def _latency(seconds: Sequence[float]) -> str:
    return duration(percentile(seconds, 50), percentile(seconds, 99)) if seconds else "-"
