"""What people see: the story line by line, each arrival as it comes, the state of affairs, and the summary.

On a terminal the latest arrivals are a panel that is drawn anew; elsewhere everything is plain lines.
"""

import asyncio
import io
import re
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from automations.demo.lines import COLUMNS, arrival_line, state_of_affairs, story_line
from automations.demo.tally import Arrival, Tally

_HUES = [(255, 107, 107), (126, 211, 133), (240, 196, 90), (110, 168, 254), (214, 140, 230), (96, 205, 220)]
_THEME = TerminalTheme(
    background=(16, 20, 28),
    foreground=(205, 211, 222),
    normal=[(40, 46, 58), *_HUES, (165, 172, 186)],
    bright=[(82, 90, 108), *_HUES, (255, 255, 255)],
)
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # from somebody else's server: the reader's own will do

PANEL_LINES = 9
REFRESH_SECONDS = 0.1


class Screen:
    """The terminal, and where a picture is wanted a second one that is recorded."""

    def __init__(self, tally: Tally, *, record: Path | None) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 shows question marks
        self.server = Text()
        self._tally, self._record = tally, record
        self._console = Console(highlight=False, width=None if sys.stdout.isatty() else COLUMNS)
        self._is_live = self._console.is_terminal and not self._console.is_dumb_terminal
        self._picture = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
        self._latest: deque[tuple[Arrival, bool]] = deque(maxlen=PANEL_LINES)
        self._started = time.monotonic()

    def title(self, name: str, text: str) -> None:
        self.show(Text.assemble((f" {name} ", "bold black on cyan"), f"  {text}\n"))

    def say(self, text: str) -> None:
        """A line of the story, in rich's markup."""
        self.show(story_line(time.monotonic() - self._started, Text.from_markup(text)))

    def show(self, renderable: RenderableType) -> None:
        """Anything else."""
        self._console.print(renderable)
        self._picture.print(renderable)

    def show_arrival(self, arrival: Arrival, *, is_first: bool) -> None:
        """A line about what has just arrived."""
        self._latest.append((arrival, is_first))
        if not self._is_live:
            self._console.print(arrival_line(arrival, is_first=is_first, columns=COLUMNS))

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show arrivals and the state of affairs while this is open."""
        if self._is_live:
            with Live(console=self._console, auto_refresh=False) as panel:
                refreshing = asyncio.create_task(self._refresh(panel))
                try:
                    yield
                finally:
                    refreshing.cancel()
                    panel.update(self._panel(self._console.width), refresh=True)
        else:
            yield
        self._picture.print(self._panel(COLUMNS))

    def save(self) -> None:
        """Write the picture, if one was asked for."""
        if self._record:
            svg = self._picture.export_svg(title="automations demo", theme=_THEME)
            self._record.write_text(_FONTS.sub("", svg), encoding="utf-8")

    async def _refresh(self, panel: Live) -> None:
        while True:
            panel.update(self._panel(self._console.width), refresh=True)
            await asyncio.sleep(REFRESH_SECONDS)

    def _panel(self, columns: int) -> Panel:
        lines = [arrival_line(arrival, is_first=is_first, columns=columns - 4) for arrival, is_first in self._latest]
        lines += [Text()] * (PANEL_LINES - len(lines))
        return Panel(
            Text("\n").join(lines),
            title="arriving",
            title_align="left",
            subtitle=state_of_affairs(self.server, self._tally),
            subtitle_align="left",
            border_style="bright_black",
        )
