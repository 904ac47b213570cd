"""Thousands of inputs, each made from a seed of its own: which failed, how long they took, and how to repeat one.

`FUZZ=N` in the environment runs as many, `FULL=1` a hundred thousand, `FUZZ_SEED=N` the one input of that seed.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

MANY = int(os.environ.get("FUZZ") or (100_000 if os.environ.get("FULL") else 10_000))
GROWTH = 48.0  # MiB a process may keep: the system's allocator gives back in its own time
_SHOWN = 10  # failures told in full: a broken program fails by the thousand

# One line for each campaign of this run.
told: list[str] = []


def not_for_one_seed() -> None:
    """Skips what has no seeds when the input of one is to be repeated."""
    if "FUZZ_SEED" in os.environ:
        pytest.skip("has no seeds to repeat")


def amounts(few: int) -> pytest.MarkDecorator:
    """Runs a test with a few inputs among the fast tests, and with many among the slow ones."""
    many = pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(7200)], id="many")
    return pytest.mark.parametrize("amount", [pytest.param(few, id="few"), many])


def _resident() -> float:
    """The memory this process has of its own, in MiB: pages of files come and go with what else the machine does."""
    kilobytes = re.findall(r"^(?:RssAnon|VmSwap):\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return sum(map(int, kilobytes)) / 1024


class Campaign:
    """Inputs of one kind. What is raised while one of them is tried is a failure of that input alone."""

    def __init__(self, kind: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self.kind = kind
        self._clock = clock
        self.failures: list[str] = []
        self._number = 0
        self._slowest = (0.0, 0)
        self._began = time.perf_counter()
        self._warm = 0.0

    def seeds(self, amount: int) -> range:
        """The seeds to try."""
        one = os.environ.get("FUZZ_SEED")
        return range(amount) if one is None else range(int(one), int(one) + 1)

    def dice(self, seed: int) -> Random:
        """All that is random about the input of this seed."""
        return Random(f"{self.kind} {seed}")

    @contextmanager
    def trying(self, seed: int) -> Iterator[None]:
        """Around the trial of one input."""
        self._number += 1
        begin = self._clock()
        try:
            yield
        except Exception as error:
            self.failed(seed, f"{type(error).__name__}: {error}")
        self._slowest = max(self._slowest, (self._clock() - begin, seed))

    async def concurrently(self, amount: int, tries: Callable[[int], Awaitable[None]], at_once: int = 16) -> None:
        """Tries every seed, some at once."""
        seeds = iter(self.seeds(amount))

        async def worker() -> None:
            for seed in seeds:
                if seed == amount // 3:
                    self.warm()
                with self.trying(seed):
                    await tries(seed)

        await asyncio.gather(*[worker() for _ in range(at_once)])

    def warm(self) -> None:
        """From here on memory should not grow: what is kept on purpose is there."""
        gc.collect()
        self._warm = _resident()

    def failed(self, seed: int, why: str) -> None:
        """The input of this seed was one too many."""
        self.failures.append(f"FUZZ_SEED={seed} ({self.kind}): {why[:2000]}")

    def end(self) -> None:
        """Tells how it went, and fails if anything failed, or if more memory is held than when it was warm."""
        seconds = time.perf_counter() - self._began
        gc.collect()
        growth = _resident() - self._warm if self._warm else 0.0
        slowest, seed = self._slowest
        told.append(
            f"fuzz {self.kind}: {self._number} inputs, {self._number / seconds:.0f} per second, "
            f"{len(self.failures)} failed, slowest {slowest * 1000:.1f} ms (seed {seed}), {growth:+.1f} MiB"
        )
        assert not self.failures, "\n".join(["", *self.failures[:_SHOWN], told[-1]])
        assert growth < GROWTH, told[-1]
