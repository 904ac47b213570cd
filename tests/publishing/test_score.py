"""The score: its weights, its bands, and what it does without data."""

from __future__ import annotations

from math import nan

import pytest

from exporter.publishing.score import Basis, ScoreState, availability, performance, queue, score

FULL = {"success": 95.0, "availability": 80.0, "performance": 50.0, "queue": 90.0}


def of(**values: float) -> dict[str, tuple[float, Basis] | None]:
    return {name: (value, Basis.WINDOW) for name, value in values.items()}


def test_the_score_is_the_weighted_sum_of_its_components() -> None:
    found = score(of(**FULL))
    assert found.score == pytest.approx(0.4 * 95 + 0.3 * 80 + 0.2 * 50 + 0.1 * 90)
    assert [part.weight for part in found.components.values()] == [0.4, 0.3, 0.2, 0.1]
    assert found.missing == ()


def test_a_component_without_data_is_left_out_and_the_others_have_its_weight() -> None:
    found = score({**of(availability=80.0, queue=90.0), "success": None, "performance": (nan, Basis.WINDOW)})
    assert found.missing == ("success", "performance")
    assert found.score == pytest.approx(0.75 * 80 + 0.25 * 90)
    assert [part.weight for part in found.components.values()] == [0.0, 0.75, 0.0, 0.25]
    assert found.components["success"].value is None


def test_without_any_data_nothing_is_claimed() -> None:
    found = score({})
    assert (found.status, found.score, len(found.missing)) == (ScoreState.UNKNOWN, None, 4)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (100.0, ScoreState.HEALTHY),
        (90.0, ScoreState.HEALTHY),
        (89.999, ScoreState.DEGRADED),
        (70.0, ScoreState.DEGRADED),
        (69.999, ScoreState.UNHEALTHY),
        (0.0, ScoreState.UNHEALTHY),
    ],
)
@pytest.mark.parametrize("components", [tuple(FULL), ("success", "performance", "queue"), ("availability",)])
def test_a_score_is_in_one_of_three_bands(value: float, status: ScoreState, components: tuple[str, ...]) -> None:
    assert score(of(**dict.fromkeys(components, value))).status is status


def test_every_component_ends_at_0_and_100() -> None:
    assert [performance(p95) for p95 in (0.0, 1.0, 2.0, 60.0)] == [100.0, 50.0, 0.0, 0.0]
    assert [queue(depth) for depth in (-1.0, 0.0, 500.0, 1000.0, 5000.0)] == [100.0, 100.0, 50.0, 0.0, 0.0]
    assert [availability(*counts) for counts in ((0, 0), (0, 2), (1, 2))] == [None, 0.0, 50.0]
    assert score(of(success=1e9)).score == 100.0
