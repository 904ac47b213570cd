"""A burst at once, then one call per interval."""

from exporter.demo.limiter import Limiter


def test_after_a_burst_each_call_gets_a_time_of_its_own() -> None:
    limiter = Limiter(lambda: 100.0, interval=0.5, burst=3)
    assert [limiter.reserve() for _ in range(6)] == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5]


def test_time_gives_the_burst_back_and_no_more_than_that() -> None:
    now = 100.0
    limiter = Limiter(lambda: now, interval=0.5, burst=2)
    assert [limiter.reserve() for _ in range(3)] == [0.0, 0.0, 0.5]
    now += 60
    assert [limiter.reserve() for _ in range(3)] == [0.0, 0.0, 0.5]
