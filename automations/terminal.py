"""What commands say to people on a terminal, and ask them."""

import sys


def fail(code: int, message: str) -> int:
    """Complain, and return the exit code."""
    sys.stderr.write(f"automations: {message}\n")
    return code


def confirmed(*, can_ask: bool = True) -> bool:
    """Whether somebody says yes. Nobody can be asked where the input is no terminal, or `can_ask` says so."""
    if not can_ask or not sys.stdin.isatty():
        fail(1, "Nothing was changed: there is nobody to ask. Say --yes to go ahead.")
        return False
    sys.stdout.write("Go ahead? [y/N] ")
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() in {"y", "yes"}:
        return True
    sys.stdout.write("Nothing was changed.\n")
    return False
