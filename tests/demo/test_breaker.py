"""Opens, waits, tries one call at a time, closes."""

from exporter.demo.breaker import Breaker, State


class Times:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def report(breaker: Breaker, *successes: bool) -> None:
    for success in successes:
        permit = breaker.permit()
        assert permit is not None
        breaker.report(permit, success)


def opened(times: Times) -> Breaker:
    breaker = Breaker(times, failures=3, open_for=10.0, successes=2)
    report(breaker, *[False] * 3)
    assert breaker.state is State.OPEN
    return breaker


def test_only_failures_in_a_row_open_it() -> None:
    breaker = Breaker(Times(), failures=3)
    report(breaker, False, False, True, False, False)
    assert (breaker.state, breaker.trips) == (State.CLOSED, 0)
    report(breaker, False)
    assert (breaker.state, breaker.trips) == (State.OPEN, 1)


def test_open_it_lets_nobody_through_until_its_time_is_over() -> None:
    times = Times()
    breaker = opened(times)
    times.now = 9.9
    assert breaker.permit() is None
    times.now = 10.0
    assert breaker.permit() is not None
    assert breaker.state is State.HALF_OPEN


def test_half_open_it_tries_one_call_at_a_time() -> None:
    times = Times()
    breaker = opened(times)
    times.now = 10.0
    permit = breaker.permit()
    assert permit is not None
    assert breaker.permit() is None
    breaker.report(permit, True)
    assert breaker.state is State.HALF_OPEN
    report(breaker, True)
    assert (breaker.state, breaker.recoveries) == (State.CLOSED, 1)


def test_a_failed_trial_opens_it_again_and_is_no_further_trip() -> None:
    times = Times()
    breaker = opened(times)
    times.now = 10.0
    report(breaker, True, False)
    assert (breaker.state, breaker.trips, breaker.recoveries) == (State.OPEN, 1, 0)
    times.now = 19.9
    assert breaker.permit() is None


def test_answers_to_what_was_asked_before_it_opened_change_nothing() -> None:
    times = Times()
    breaker = Breaker(times, failures=3, open_for=10.0, successes=1)
    slow = breaker.permit()
    assert slow is not None
    report(breaker, *[False] * 3)
    states = [breaker.state]
    breaker.report(slow, True)
    states.append(breaker.state)
    times.now = 10.0
    trial = breaker.permit()
    assert trial is not None
    breaker.report(slow, False)
    states.append(breaker.state)
    breaker.report(trial, True)
    assert [*states, breaker.state] == [State.OPEN, State.OPEN, State.HALF_OPEN, State.CLOSED]


def test_its_numbers_are_those_the_imitated_service_writes() -> None:
    assert [int(State.CLOSED), int(State.OPEN), int(State.HALF_OPEN)] == [0, 1, 2]
