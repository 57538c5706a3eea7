"""`python -m tests.sql_in_place`: finds SQL in Python outside the select compiler, and queries that nobody calls."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMPILER = ROOT / "automations" / "api" / "select.py"
STATEMENT = re.compile(
    r"^\s*(SELECT\s+\S|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s*\(|CREATE\s+(TABLE|INDEX)\s)",
    re.IGNORECASE,
)


def literals(path: Path) -> Iterator[str]:
    """Places where a string of a module is an SQL statement."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.match(node.value):
            yield f"{path.relative_to(ROOT)}:{node.lineno}: SQL belongs into sql/queries: {node.value.strip()[:60]!r}"


def uncalled() -> Iterator[str]:
    """Named statements that no module calls."""
    code = "\n".join(path.read_text() for path in (ROOT / "automations").rglob("*.py"))
    for path in sorted((ROOT / "sql" / "queries").glob("*.sql")):
        for name in re.findall(r"^-- name: (\w+)", path.read_text(), re.MULTILINE):
            if not re.search(rf"queries\.{name}\b", code):
                yield f"{path.relative_to(ROOT)}: nobody calls {name}"


def problems() -> list[str]:
    """What is not in its place."""
    modules = [path for path in sorted((ROOT / "automations").rglob("*.py")) if path != COMPILER]
    return [problem for path in modules for problem in literals(path)] + list(uncalled())


if __name__ == "__main__":
    found = problems()
    sys.stdout.write("".join(f"{problem}\n" for problem in found) or "SQL is in its place\n")
    sys.exit(bool(found))
