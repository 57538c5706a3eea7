"""What in schema.graphql would break clients of the last release: `python -m tests.breaking_changes`."""

import subprocess
import sys
from pathlib import Path

from graphql import build_schema
from graphql.utilities import find_breaking_changes

SCHEMA = "schema.graphql"
ROOT = Path(__file__).parent.parent


def breaking_changes(released: str, present: str) -> list[str]:
    """Each change in words, of one schema into another."""
    return [change.description for change in find_breaking_changes(build_schema(released), build_schema(present))]


def released_schema() -> tuple[str, str] | None:
    """The last release's tag and schema; None before the first one, or where the history is not at hand."""
    tag = _git("describe", "--tags", "--abbrev=0", "--match", "v*")
    schema = tag and _git("show", f"{tag}:{SCHEMA}")
    return (tag, schema) if tag and schema else None


def main() -> int:
    """1 where something breaks."""
    released = released_schema()
    if released is None:
        print("There is no release yet whose clients could break")
        return 0
    tag, schema = released
    problems = breaking_changes(schema, (ROOT / SCHEMA).read_text())
    for problem in problems:
        print(f"{SCHEMA} breaks clients of {tag}: {problem}")
    return 1 if problems else 0


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main())
