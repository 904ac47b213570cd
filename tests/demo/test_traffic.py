"""The same shift for the same seed, with everything in it that there is to be seen."""

from collections import Counter

from exporter.demo.traffic import STORM, Alert, Event, Traffic


def shift(traffic: Traffic, rounds: int) -> list[list[Alert]]:
    return [traffic.round() for _ in range(rounds)]


def test_the_same_seed_gives_the_same_shift_and_another_gives_another() -> None:
    first, second, other = (shift(Traffic(seed), 12) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_an_hour_has_every_event_and_severity_and_storms_twice_a_minute() -> None:
    traffic = Traffic(7)
    rounds = shift(traffic, 3600)
    alerts = [alert for each in rounds for alert in each]
    assert {alert.event for alert in alerts} == set(Event)
    assert {alert.severity for alert in alerts} == {"critical", "warning", "info"}
    assert sum(len(each) == STORM for each in rounds) == 120


def test_nothing_is_resolved_that_was_not_firing_and_memory_does_not_grow() -> None:
    traffic = Traffic(7)
    firing: Counter[str] = Counter()
    for _ in range(3600):
        for alert in traffic.round():
            if alert.event in (Event.FIRE, Event.RESOLVE):
                firing[alert.fingerprint] += 1 if alert.event is Event.FIRE else -1
            assert firing[alert.fingerprint] in (0, 1)
    assert len(firing) < 50
