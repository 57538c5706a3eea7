"""What people see: the story line by line, each arrival as it comes, the state of affairs, and the summary.

On a terminal the latest arrivals are a panel that is drawn anew; elsewhere everything is plain lines.
"""

import asyncio
import io
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from automations.demo.ledger import Ledger
from automations.demo.rules import Kind
from automations.demo.tally import Arrival, Phase, Tally, percentile

COLUMNS = 100
PANEL_LINES = 9
REFRESH_SECONDS = 0.1

_STATE_STYLES = {"Success": "green", "Failed": "bold red", "TimedOut": "bold yellow", "Cancelled": "magenta"}
_KIND_STYLES = {Kind.SLACK: "bold magenta", Kind.WEBHOOK: "cyan", Kind.CANCEL: "yellow"}
_KIND_NAMES = {Kind.SLACK: "Slack messages", Kind.WEBHOOK: "signed webhooks", Kind.CANCEL: "runs cancelled"}
_PHASE_NAMES = {Phase.BEFORE: "before the kill", Phase.ACROSS: "across it", Phase.AFTER: "after it"}

_THEME = TerminalTheme(
    (16, 20, 28),
    (205, 211, 222),
    [(40, 46, 58), (255, 107, 107), (126, 211, 133), (240, 196, 90), (110, 168, 254), (214, 140, 230), (96, 205, 220), (205, 211, 222)],
    [(110, 118, 135), (255, 107, 107), (126, 211, 133), (240, 196, 90), (110, 168, 254), (214, 140, 230), (96, 205, 220), (255, 255, 255)],
)  # fmt: skip


class Screen:
    """The terminal, and where a picture is wanted a second one that is recorded."""

    def __init__(self, tally: Tally, *, record: Path | None) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 shows question marks
        self.server = Text("not started", "dim")
        self._tally, self._record = tally, record
        self._console = Console(highlight=False, width=None if sys.stdout.isatty() else COLUMNS)
        self._consoles = [self._console]
        if record:
            self._recorded = Console(
                record=True,
                width=COLUMNS,
                file=io.StringIO(),
                force_terminal=True,
                color_system="truecolor",
                highlight=False,
            )
            self._consoles.append(self._recorded)
        self._latest: deque[RenderableType] = deque(maxlen=PANEL_LINES)
        self._started = time.monotonic()

    def title(self, text: str, subtitle: str) -> None:
        self._print(Text.assemble((f" {text} ", "bold black on cyan"), "  ", (subtitle, "dim")))
        self._print("")

    def say(self, text: str, *, style: str = "") -> None:
        """A line of the story, in rich's markup."""
        line = _grid()
        line.add_column(width=7, justify="right", style="dim")
        line.add_column(style=style)
        line.add_row(f"{time.monotonic() - self._started:.1f} s", Text.from_markup(text))
        self._print(line)

    def show_arrival(self, arrival: Arrival, *, is_first: bool) -> None:
        """A line about what has just arrived."""
        line = _line_of(arrival, is_first=is_first)
        self._latest.append(line)
        if not self._console.is_terminal:
            self._console.print(line)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show arrivals and the state of affairs while this is open."""
        if self._console.is_terminal:
            with Live(console=self._console, auto_refresh=False) as panel:
                refreshing = asyncio.create_task(self._refresh(panel))
                try:
                    yield
                finally:
                    refreshing.cancel()
                    panel.update(self._panel(), refresh=True)
        else:
            yield
        if self._record:
            self._recorded.print(self._panel())

    def summarize(self, ledger: Ledger, problems: list[str], *, repeated_calls: int) -> None:
        """The table of what was owed and what came of it, and the verdict."""
        self._print("")
        self._print(self._summary_table())
        notes = _grid()
        notes.add_column(style="dim", width=16)
        notes.add_column()
        notes.add_row(
            "  state changes", f"{self._tally.state_changes} accepted; clients repeated {repeated_calls} calls"
        )
        notes.add_row(
            "  ledger",
            f"DELIVERED {ledger.delivered} · FAILED {ledger.failed} · unfinished {ledger.unfinished}; "
            f"{ledger.lost_attempts} attempts ended with the process",
        )
        self._print(notes)
        self._print("")
        for problem in problems:
            self._print(Text(f"  ✗ {problem}", "bold red"))
        if not problems:
            self._print(
                Text("  ✓ Nothing was lost. What came twice carried the id it had the first time.", "bold green")
            )

    def fail(self, text: str) -> None:
        self._print(Text(text, "bold red"))

    def save(self) -> None:
        """Write the picture, if one was asked for."""
        if self._record:
            self._recorded.save_svg(str(self._record), title="automations demo", theme=_THEME)

    def _print(self, renderable: RenderableType) -> None:
        for console in self._consoles:
            console.print(renderable)

    async def _refresh(self, panel: Live) -> None:
        while True:
            panel.update(self._panel(), refresh=True)
            await asyncio.sleep(REFRESH_SECONDS)

    def _panel(self) -> RenderableType:
        tally = self._tally
        counts = [f"{_KIND_NAMES[kind]} {tally.arrived(kind)}/{tally.owed(kind)}" for kind in Kind]
        status = Text.assemble(self.server, (f"   {tally.state_changes} state changes   " + "   ".join(counts), "dim"))
        blank = [Text("") for _ in range(PANEL_LINES - len(self._latest))]
        arrivals = Group(*self._latest, *blank)
        return Panel(
            arrivals,
            title="arriving",
            title_align="left",
            subtitle=status,
            subtitle_align="left",
            box=box.ROUNDED,
            border_style="bright_black",
        )

    def _summary_table(self) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD, pad_edge=True, padding=(0, 1), header_style="dim", border_style="bright_black"
        )
        table.add_column("")
        for name in ("owed", "arrived", "lost", "repeats"):
            table.add_column(name, justify="right")
        for phase in Phase:
            table.add_column(_PHASE_NAMES[phase], justify="right")
        for kind in Kind:
            lost = self._tally.lost(kind)
            table.add_row(
                Text(_KIND_NAMES[kind], _KIND_STYLES[kind]),
                str(self._tally.owed(kind)),
                str(self._tally.arrived(kind)),
                Text(str(lost), "bold red" if lost else "bold green"),
                str(self._tally.repeats(kind)),
                *[_latency(self._tally.seconds(kind, phase)) for phase in Phase],
            )
        return table


def _grid() -> Table:
    return Table.grid(padding=(0, 2), expand=False)


def _line_of(arrival: Arrival, *, is_first: bool) -> Table:
    line = Table.grid(padding=(0, 1), expand=True)
    line.add_column(width=7)
    line.add_column(width=9)
    line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    line.add_column(width=10, justify="right", no_wrap=True)
    what = Text.assemble((arrival.flow, "bold"), (f" / {arrival.run}  ", "dim"), (arrival.message, ""))
    duration = _milliseconds(arrival.seconds) if is_first else "repeat"
    line.add_row(
        Text(arrival.kind, _KIND_STYLES[arrival.kind]),
        Text(arrival.state, _STATE_STYLES.get(arrival.state, "")),
        what,
        Text(duration, "dim" if is_first else "yellow"),
    )
    return line


def _latency(seconds: list[float]) -> str:
    if not seconds:
        return "–"
    return f"p50 {_milliseconds(percentile(seconds, 50))}  p99 {_milliseconds(percentile(seconds, 99))}"


def _milliseconds(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.1f} s"
    milliseconds = 1000 * seconds
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
