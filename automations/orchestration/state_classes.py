"""How states are related and coloured: the classes of `prefect.engine.state` 1.4.1, in the order of that module."""

from typing import Final

CLASSES: Final[dict[str, tuple[str | None, str]]] = {
    "State": (None, "#696969"),
    "Pending": ("State", "#7ebdff"),
    "Scheduled": ("Pending", "#ffab00"),
    "Paused": ("Scheduled", "#99a8e8"),
    "_MetaState": ("State", "#696969"),
    "ClientFailed": ("_MetaState", "#eb0000"),
    "Submitted": ("_MetaState", "#ffdf5d"),
    "Queued": ("_MetaState", "#ffea7f"),
    "Resume": ("Scheduled", "#f58c0c"),
    "Retrying": ("Scheduled", "#f66a0a"),
    "Running": ("State", "#3d67ff"),
    "Cancelling": ("Running", "#E8E8E8"),
    "Finished": ("State", "#003ccb"),
    "Looped": ("Finished", "#003ccb"),
    "Success": ("Finished", "#28a745"),
    "Cached": ("Success", "#34d058"),
    "Mapped": ("Success", "#003ccb"),
    "Cancelled": ("Finished", "#bdbdbd"),
    "Failed": ("Finished", "#eb0000"),
    "TimedOut": ("Failed", "#ff4e33"),
    "TriggerFailed": ("Failed", "#ff5131"),
    "ValidationFailed": ("Failed", "#ff5131"),
    "Skipped": ("Success", "#62757f"),
}
"""Name → parent and colour."""


def ancestors(name: str) -> list[str]:
    """The class itself and those it descends from, nearest first."""
    found: list[str] = []
    parent: str | None = name
    while parent is not None:
        found.append(parent)
        parent = CLASSES[parent][0]
    return found


STATE_HIERARCHY: Final = {parent: [name for name in CLASSES if parent in ancestors(name)] for parent in CLASSES}
"""Each class → itself and all that descend from it."""

STATE_INFO: Final = {name: {"color": color} for name, (_, color) in CLASSES.items()}
