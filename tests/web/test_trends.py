"""Trends over real sockets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from exporter.publishing.statistics import ScoreDetail
from exporter.publishing.trends import ErrorTrend, Trends
from exporter.web.trends import summary
from tests.web.conftest import WALL, Running
from tests.web.standings import SPIKE, TRENDS, standing

PATH = "/api/v2/publishing/trends"


async def asked(site: Running) -> Any:
    async with site.client.get(site.url(PATH)) as answer:
        assert answer.status == 200
        return await answer.json()


async def test_every_trend_is_told_with_its_evidence(site: Running) -> None:
    site.feed.publish(standing(3))
    found = await asked(site)
    assert found["trends"] == {
        "success_rate_trend": "decreasing",
        "success_rate_change": -24.0,
        "error_spike_detected": True,
        "error_rate_baseline": 1.0,
        "error_rate_current": 25.0,
        "error_rate_latest": 50.0,
        "baseline_samples": 288,
        "recent_samples": 12,
        "latency_trend": "degrading",
        "latency_change": 200.0,
        "latency_baseline": 100.0,
        "latency_current": 300.0,
        "queue_growth_trend": "growing",
        "queue_growth_rate": 2.5,
        "queue_size_baseline": 10.0,
        "queue_size_current": 160.0,
        "timestamp": "2026-05-28T20:26:30Z",
    }
    assert [(one["target_name"], one["error_spike_detected"]) for one in found["targets"]] == [
        ("on-call", True),
        ("ops-slack", False),
    ]
    assert found["summary"] == (
        "A spike of errors: 25.0 % of the deliveries of the last hour failed, 1.0 % in the day before. "
        "Latency is degrading. The queue is growing. Failing more than usual: on-call."
    )
    assert (found["snapshot_id"], found["age_seconds"]) == (3, 4.0)


async def test_W_A6_without_history_the_answer_is_that_there_is_too_little(site: Running) -> None:
    """It says how much there is and how much is needed, and invents no calm."""
    site.feed.publish(standing(score=ScoreDetail()))
    found = await asked(site)
    assert found["trends"]["error_spike_detected"] is None
    for name in ("success_rate_trend", "latency_trend", "queue_growth_trend"):
        assert found["trends"][name] == "insufficient_data"
    assert (found["trends"]["baseline_samples"], found["baseline_samples_needed"]) == (0, 12)
    assert (found["trends"]["recent_samples"], found["recent_samples_needed"]) == (0, 1)
    assert found["summary"] == "There is no history to compare with."


@pytest.mark.parametrize(
    ("trends", "said"),
    [
        (
            Trends(at=WALL, errors=ErrorTrend(current=0.5)),
            "There is too little data to tell whether more fails than usual.",
        ),
        (Trends(at=WALL, errors=ErrorTrend(spike=False)), "Nothing was delivered in the last hour."),
        (
            Trends(at=WALL, errors=ErrorTrend(current=0.0, spike=False)),
            "No spike of errors: 0.0 % of the deliveries of the last hour failed.",
        ),
        (
            replace(TRENDS, errors=replace(SPIKE, spike=False), targets=dict.fromkeys("abcde", SPIKE)),
            "No spike of errors: 25.0 % of the deliveries of the last hour failed, 1.0 % in the day before. "
            "Latency is degrading. The queue is growing. Failing more than usual: a, b, c and 2 more.",
        ),
    ],
)
def test_the_summary_says_what_is_known(trends: Trends, said: str) -> None:
    assert summary(trends) == said
