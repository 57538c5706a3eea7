"""What the benchmarks printed becomes a page that hides nothing."""

from bench.table import markdown

REPORT = {
    "machine": {"cores": 2, "python": "3.13.0", "postgres": "18.4"},
    "quick": True,
    "benchmarks": {
        "single": {
            "floors": {"inserted_per_second": 3007.0, "answer": {"p50_ms": 1.5, "p95_ms": 2.0, "p99_ms": 2.5}},
            "goals": [
                {"what": "accepted states/s", "value": 488.0, "at_least": 500, "met": False},
                {"what": "seconds to the end", "value": 0.02, "at_most": 12_000, "met": True},
            ],
        },
        "start": {"error": "TimeoutError: "},
    },
}


def test_page_has_each_goal_with_its_floors_and_what_failed() -> None:
    page = markdown(REPORT, "2026-01-31")
    assert "2026-01-31, 2 cores" in page
    assert "make bench QUICK=1 > bench.json" in page
    assert "| accepted states/s | 488 | ≥ 500 **not met** |" in page
    assert "| seconds to the end | 0.02 | ≤ 12,000 |" in page
    assert "Floors: inserted per second 3007, answer p50 ms 1.5, answer p99 ms 2.5." in page
    assert "## start" in page
    assert "Could not be carried out: TimeoutError: " in page
