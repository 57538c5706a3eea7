"""The files that people run it with name what there is."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from prometheus_client import CollectorRegistry

from automations import metrics
from automations.health import MEANINGS
from automations.settings import PREFIX, ClientSettings, Settings

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "docs" / "deploy"
SETTINGS = {f"{PREFIX}{item.name.upper()}" for settings in (Settings, ClientSettings) for item in fields(settings)}


def known_metrics() -> set[str]:
    """Every name that a scrape may have."""
    registry: CollectorRegistry = metrics.counted()
    names = {f"automations_{name}" for name in (*MEANINGS, "database_up", "table_bytes")}
    for family in registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        names |= {f"{family.name}{suffix}" for suffix in suffixes}
    return names


def expressions() -> list[str]:
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())
    board: dict[str, Any] = orjson.loads((DEPLOY / "grafana.json").read_bytes())
    return [
        *(rule["expr"] for group in rules["groups"] for rule in group["rules"]),
        *(target["expr"] for panel in board["panels"] for target in panel["targets"]),
    ]


def test_dashboard_and_alerts_ask_for_metrics_that_there_are() -> None:
    asked = {name for text in expressions() for name in re.findall(r"automations_[a-z_]+", text)}
    assert asked
    assert asked - known_metrics() == set()


@pytest.mark.parametrize("file", ["Containerfile", "docs/deploy/compose.yaml", "docs/deploy/automations.service"])
def test_settings_in_files_exist(file: str) -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", (ROOT / file).read_text()))
    assert named
    assert named - SETTINGS == set()
