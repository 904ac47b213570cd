"""How long to wait before a remote that failed is asked again."""

from __future__ import annotations

import random
from collections.abc import Callable


class Steps:
    """Pauses that double from `first` up to `longest`, each shortened at random by up to half.

    Without the chance in it all instances that lost the same server would come back to it in step.
    """

    def __init__(self, first: float = 1.0, longest: float = 30.0, chance: Callable[[], float] = random.random) -> None:
        self.longest = longest
        self._first = min(first, longest)
        self._chance = chance
        self._step = self._first

    def next(self, at_least: float = 0.0) -> float:
        """The seconds to wait now; a pause the remote asked for is not shortened."""
        step = self._step
        self._step = min(step * 2, self.longest)
        return max(step * (1 - self._chance() / 2), at_least)

    def reset(self) -> None:
        """Begins again at the first step, after something went well."""
        self._step = self._first
