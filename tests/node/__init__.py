"""Clients of npm, against a running server: where Node is there and `npm ci` was run here."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

FOLDER = Path(__file__).parent
SECONDS = 30


async def run_node(script: str, *arguments: str) -> Any:
    """What a script of this folder prints, read as JSON. The test is skipped where it cannot run."""
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules").is_dir():
        pytest.skip("have Node, and run: npm ci --prefix tests/node")
    process = await asyncio.create_subprocess_exec(node, FOLDER / script, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    return orjson.loads(output)
