"""The short form of `make chaos`."""

from tests.chaos.run import run_chaos


async def test_nothing_is_lost_through_a_few_faults() -> None:
    report = await run_chaos(seed=7, seconds=12, rate=60, servers=2)
    assert report["wrong"] == []
    assert report["changes"]["acknowledged"] > 0
    assert report["requests"]["arrived"] > 0
    assert sum(report["faults"].values()) > 0
