"""Stops calling a receiver that keeps failing, and tries it again later."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum


class State(IntEnum):
    """The numbers are those the service writes on its page."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


class Breaker:
    """Opens after failures in a row; half-open it lets one call through at a time, and closes when they succeed.

    Whoever is let through gets a number and reports with it: an answer to what was asked before the state changed says
    nothing about the state there is now.
    """

    def __init__(self, now: Callable[[], float], failures: int = 5, open_for: float = 15.0, successes: int = 2) -> None:
        self.state = State.CLOSED
        self.trips = 0
        self.recoveries = 0
        self._now = now
        self._failures = failures
        self._open_for = open_for
        self._successes = successes
        self._era = 0
        self._in_a_row = 0
        self._since = 0.0
        self._trying = False

    def permit(self) -> int | None:
        """A number if a call may be made now."""
        if self.state is State.OPEN and self._now() >= self._since + self._open_for:
            self._enter(State.HALF_OPEN)
        if self.state is State.OPEN or self._trying:
            return None
        self._trying = self.state is State.HALF_OPEN
        return self._era

    def report(self, permit: int, success: bool) -> None:
        """How the call ended."""
        if permit != self._era:
            return
        self._trying = False
        if self.state is State.HALF_OPEN:
            self._tried(success)
        else:
            self._in_a_row = 0 if success else self._in_a_row + 1
            if self._in_a_row >= self._failures:
                self.trips += 1
                self._enter(State.OPEN)

    def _tried(self, success: bool) -> None:
        self._in_a_row += 1
        if not success:
            self._enter(State.OPEN)
        elif self._in_a_row >= self._successes:
            self.recoveries += 1
            self._enter(State.CLOSED)

    def _enter(self, state: State) -> None:
        self.state = state
        self._era += 1
        self._in_a_row = 0
        self._since = self._now()
        self._trying = False
