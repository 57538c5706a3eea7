"""Single lines of the demo's output, and how things are called and coloured there."""

from rich.table import Table
from rich.text import Text

from automations.demo.rules import Kind
from automations.demo.tally import Arrival, Tally

COLUMNS = 100

KIND_NAMES = {
    Kind.SLACK: "Slack messages",
    Kind.WEBHOOK: "signed webhooks",
    Kind.CANCEL: "runs cancelled",
    Kind.SMS: "text messages",
    Kind.EMAIL: "e-mails",
}
KIND_STYLES = {
    Kind.SLACK: "bold magenta",
    Kind.WEBHOOK: "cyan",
    Kind.CANCEL: "yellow",
    Kind.SMS: "bold green",
    Kind.EMAIL: "bold blue",
}
_STATE_STYLES = {
    "Success": "green",
    "Failed": "bold red",
    "TimedOut": "bold yellow",
    "Cancelled": "magenta",
    "Late": "bold yellow",
    "Quiet": "bold red",
}
_DURATION_COLUMNS = 9


def story_line(seconds: float, text: Text) -> Table:
    """What happens, and when: seconds since the start."""
    line = Table.grid(padding=(0, 2))
    line.add_column(width=6, justify="right", style="dim")
    line.add_column()
    line.add_row(f"{seconds:.1f} s", text)
    return line


def arrival_line(arrival: Arrival, *, is_first: bool, columns: int) -> Text:
    """What arrived, and how long after the state that it tells of."""
    line = Text.assemble(
        (f"{arrival.kind:<9}", KIND_STYLES[arrival.kind]),
        (f"{arrival.state:<11}", _STATE_STYLES.get(arrival.state, "")),
        (arrival.flow, "bold"),
        (f" / {arrival.run}  ", "dim"),
        arrival.message,
    )
    line.no_wrap = True
    line.truncate(max(0, columns - _DURATION_COLUMNS), overflow="ellipsis", pad=True)
    time = duration(arrival.seconds) if is_first else "repeat"
    return line.append(f"{time:>{_DURATION_COLUMNS}}", "dim" if is_first else "yellow")


def state_of_affairs(server: Text, tally: Tally) -> Text:
    """How the server is, and what has arrived of what is owed."""
    counts = [f"{kind} {tally.arrived(kind)}/{tally.owed(kind)}" for kind in Kind]
    return Text.assemble(" ", server, (f" · {' · '.join(counts)} ", "white"))


def duration(*seconds: float) -> str:
    """Times in one unit, such as `4.1 / 12 ms`; the longest decides."""
    if max(seconds) >= 1:
        return f"{' / '.join(f'{value:.{1 if value >= 0.1 else 2}f}' for value in seconds)} s"
    return f"{' / '.join(f'{1000 * value:.{0 if value >= 0.01 else 1}f}' for value in seconds)} ms"
