"""`python -m tests.migrations_expand`: whether the version before goes on with what new migrations make of a database.

squawk judges them. What takes something away is let through where it says from which programs on that does no harm,
with a line `-- contracts: N` (automations/migrations.py): those of the release before know migration N.
"""

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from automations.migrations import SETS, Migration, available

ROOT = Path(__file__).parent.parent
SQUAWK = Path(sysconfig.get_path("scripts")) / "squawk"
LANDED = {"orchestration": 5, "automations": 14}
"""The last ones of the time before this check: they are never edited."""


def problems(migration: Migration) -> Iterator[str]:
    """What the version before does not bear, one a line."""
    name = f"{migration.set_name}/{migration.version:04d}_{migration.name}.sql"
    if migration.oldest_program >= migration.version:
        yield f"{name}: it cannot ask for programs that know migration {migration.oldest_program}: that came later"
    if not migration.oldest_program:
        yield from _squawk(name, migration.sql)


def _squawk(name: str, sql: str) -> list[str]:
    done = subprocess.run(
        [SQUAWK, "--reporter", "gcc", "--stdin-filepath", name],
        input=sql, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode and not done.stdout:
        raise RuntimeError(done.stderr)
    return done.stdout.splitlines()


def main() -> int:
    """1 where there is a problem."""
    new = [migration for set_name in SETS for migration in available(set_name) if migration.version > LANDED[set_name]]
    found = [problem for migration in new for problem in problems(migration)]
    if found:
        found.append("What takes away waits for a release in which nobody uses it, and says so: -- contracts: N")
    sys.stdout.write("".join(f"{line}\n" for line in found) or "The version before goes on with new migrations\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
