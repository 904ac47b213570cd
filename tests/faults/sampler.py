"""Scrapes without pause while a fault lasts, and tells what was not as it must be."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

from tests.faults.page import Page
from tests.faults.process import Daemon

PAUSE = 0.2
PATIENCE = 1.0
HICCUP = 0.05
TEXT, OPENMETRICS = "text/plain", "application/openmetrics-text"
_ACCEPT = {TEXT: "*/*", OPENMETRICS: "application/openmetrics-text;version=1.0.0"}


@dataclass(frozen=True)
class Scrape:
    """One page as it came; the time is the wall clock's when it was asked for."""

    at: float
    format: str
    page: Page


class Sampler:
    """Asks for the page in both formats by turns, and whether the daemon is healthy and ready."""

    def __init__(self, daemon: Daemon) -> None:
        self.scrapes: list[Scrape] = []
        self.breaches: list[str] = []
        # The longest that a bystander who only wanted to sleep was held up. Less than a hiccup counts as none: added
        # to a limit it would move that to the next bucket.
        self._oversleep = 0.0
        self._slow: list[tuple[str, float]] = []
        self._daemon = daemon
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._work, self._stand_by)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(15.0)
        self.breaches += [f"{what} after {took:.2f} s" for what, took in self._slow if took > PATIENCE + self.held_up]

    def _stand_by(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            time.sleep(0.01)
            self._oversleep = max(self._oversleep, time.monotonic() - began - 0.01)

    @property
    def held_up(self) -> float:
        """By how much the machine is to blame, in seconds."""
        return self._oversleep if self._oversleep > HICCUP else 0.0

    def _work(self) -> None:
        for format in cycle(_ACCEPT):
            self._guarded("X1", self._scrape, format)
            for path in ("/-/healthy", "/-/ready"):
                self._guarded("X7", self._look, path)
            if self._ended.wait(PAUSE):
                return

    def _guarded(self, expectation: str, ask: object, what: str) -> None:
        try:
            ask(what)  # type: ignore[operator]
        except (OSError, http.client.HTTPException) as error:
            self.breaches.append(f"{expectation}: {what}: {type(error).__name__}")

    def _scrape(self, format: str) -> None:
        at = time.time()
        answer = self._daemon.get("/metrics", Accept=_ACCEPT[format])
        self._slow.append(("X1: a scrape was answered", answer.seconds))
        if answer.status != 200:
            self.breaches.append(f"X1: a scrape gave {answer.status}")
        if not answer.headers["Content-Type"].startswith(format):
            self.breaches.append(f"X1: asked for {format}, got {answer.headers['Content-Type']}")
        end = "\n# EOF\n" if format == OPENMETRICS else "\n"
        if not answer.text.endswith(end):
            self.breaches.append("X1: a page was cut short")
        self.scrapes.append(Scrape(at, format, Page(answer.text)))

    def _look(self, path: str) -> None:
        answer = self._daemon.get(path)
        self._slow.append((f"X7: {path} was answered", answer.seconds))
        if answer.status != 200:
            self.breaches.append(f"X7: {path} gave {answer.status}")

    def between(self, begin: float, end: float) -> list[Page]:
        """The pages asked for in this time."""
        return [scrape.page for scrape in self.scrapes if begin <= scrape.at <= end]

    def mixed(self) -> Iterator[str]:
        """Pages of one cycle that differ in more than what the daemon says about itself."""
        first: dict[tuple[str, float], str] = {}
        for scrape in self.scrapes:
            snapshot = (scrape.format, scrape.page.own("collection_last_timestamp_seconds"))
            if first.setdefault(snapshot, scrape.page.foreign) != scrape.page.foreign:
                yield "X10: two pages of one cycle differ"
