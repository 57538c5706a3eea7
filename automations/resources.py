"""Where the files that are not Python lie: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def resource(name: str) -> Path:
    """Path of `sql` or `schema.graphql`."""
    inside = _PACKAGE / name
    return inside if inside.exists() else _PACKAGE.parent / name
