from itertools import pairwise

from exporter.sources.backoff import Steps


def test_pauses_double_up_to_the_longest() -> None:
    steps = Steps(1.0, 30.0, chance=lambda: 0.0)
    assert [steps.next() for _ in range(7)] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_chance_shortens_a_pause_by_half_at_most() -> None:
    assert Steps(4.0, 30.0, chance=lambda: 1.0).next() == 2.0
    steps = Steps(8.0, 8.0)
    pauses = [steps.next() for _ in range(200)]
    assert all(4.0 <= pause <= 8.0 for pause in pauses)
    assert any(one != other for one, other in pairwise(pauses))


def test_after_success_the_pauses_begin_anew() -> None:
    steps = Steps(1.0, 30.0, chance=lambda: 0.0)
    steps.next()
    steps.next()
    steps.reset()
    assert steps.next() == 1.0


def test_a_pause_the_remote_asks_for_is_waited_in_full() -> None:
    steps = Steps(1.0, 30.0, chance=lambda: 1.0)
    assert steps.next(at_least=60.0) == 60.0
    assert steps.next(at_least=0.1) == 1.0


def test_a_first_pause_beyond_the_longest_is_the_longest() -> None:
    assert Steps(60.0, 30.0, chance=lambda: 0.0).next() == 30.0
