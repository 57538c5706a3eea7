"""Watches flow runs and agents of an orchestration backend and acts when something happens to them."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("automations")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "0.1.0"
