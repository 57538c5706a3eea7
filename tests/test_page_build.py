"""The page is built of its sources once, and the wheel has it with the licences of what is inside."""

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


def load() -> ModuleType:
    """The build of the page."""
    spec = importlib.util.spec_from_file_location("page_build", ROOT / "ui" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The build, of one small source, in a folder of its own and without Node."""
    module = load()
    for name, folder in {"SOURCES": "ui", "BUILT": "static", "NODE": "node"}.items():
        monkeypatch.setattr(module, name, tmp_path / folder)
    monkeypatch.setattr(module, "KEY", tmp_path / "static" / ".key")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "ui").mkdir()
    (tmp_path / "static").mkdir()
    (tmp_path / "ui" / "main.ts").write_text("start()")
    return module


def test_unchanged_page_needs_no_node(builder: ModuleType) -> None:
    builder.KEY.write_text(builder.key_of_sources())
    (builder.SOURCES / "node_modules").mkdir()
    (builder.SOURCES / "node_modules" / "left-pad.js").write_text("")
    assert builder.build() is False


def test_changed_page_is_built_anew_and_the_lack_of_node_is_said(builder: ModuleType) -> None:
    builder.KEY.write_text(builder.key_of_sources())
    (builder.SOURCES / "main.ts").write_text("start(again)")
    with pytest.raises(builder.BuildError, match="There is no Node"):
        builder.build()


def test_wheel_has_the_page_and_the_licences_of_what_is_inside(tmp_path: Path) -> None:
    page = load()
    if not page.KEY.is_file() or page.KEY.read_text() != page.key_of_sources():
        pytest.skip("the page is not built of what is in ui/: make ui")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        licences = archive.read("automations/static/licenses.md").decode()
    assert {"automations/static/index.html", "automations/static/playground.html"} <= set(names)
    assert not [name for name in names if name.startswith("ui/") or "node_modules" in name]
    for package in ("preact", "@preact/signals", "graphiql", "react", "codemirror"):
        assert package in licences
