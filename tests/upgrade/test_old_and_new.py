"""The short form of `make upgrade`."""

import pytest

from tests.upgrade.run import run_upgrade
from tests.upgrade.versions import NotAtHand, earlier_revision


async def test_nothing_is_lost_while_a_new_version_replaces_the_one_before() -> None:
    try:
        report = await run_upgrade(revision=earlier_revision(), seconds=8, rate=40)
    except NotAtHand as why:
        pytest.skip(f"the version before is not at hand: {why}")
    assert report["wrong"] == []
    assert report["changes"]["acknowledged"] > 0
    assert report["requests"]["arrived"] > 0
