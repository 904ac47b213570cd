"""The same thing very often: stops at random moments, reloads good and bad. FULL=1 in the environment for all of it."""

from __future__ import annotations

import http.client
import math
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.page import Page
from tests.faults.process import Daemon, until
from tests.faults.scene import Config, Scene
from tests.faults.surroundings import plugins

pytestmark = pytest.mark.slow

FULL = bool(os.environ.get("FULL"))
STOPS = 1_000 if FULL else 100
RELOADS = 10_000 if FULL else 1_000
ROUND = 1_000  # in one of which Prometheus remembers every scrape
AT_ONCE = 4
WITHIN = 10.0
HUNG = {
    "swallower": "swallow",
    "blocker_1": "block",
    "blocker_2": "block",
    "bridge": "block",
}


HELD = STOPS // 50  # of these the loop itself is held: nothing but the last resort ends them
HOLDER = """
def act(self):
    if self.mood[0] == "hold":
        time.sleep(60)
"""


def hanging(scene: Scene) -> Config:
    """A configuration whose collectors hang, each in its own way; it listens wherever there is room."""
    config = plugins(scene, {"holder": HOLDER}, *HUNG)
    config["collectors"] |= {name: {"blocking": True} for name in HUNG if name.startswith("blocker")}
    config["web"]["listen_addresses"] = ["127.0.0.1:0"]
    return config


class Stops:
    """Daemons that are told to stop, several at a time, each after a while of its own."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self._scene = scene
        self._random = random.Random(seed)
        self._spawning = threading.Lock()
        self.took: list[float] = []

    def one(self, number: int) -> None:
        with self._spawning:
            daemon = self._scene.spawn(f"--config.file={self._scene.file}")
            delay, restless = self._random.uniform(0.0, 2.0), self._random.random() < 0.3
            starting = self._random.random() < 0.3
        try:
            while not daemon.catches(signal.SIGTERM):
                assert daemon.process.poll() is None, daemon.log()
                time.sleep(0.002)
            if not starting:
                until(lambda: "msg=listening" in daemon.log(), 30.0, "it listens")
            for _ in self._while(delay, restless):
                daemon.send(signal.SIGHUP)
            began = time.monotonic()
            daemon.send(signal.SIGTERM)
            assert daemon.ended(WITHIN) == 0, f"after {delay:.3f} s: {daemon.log()}"
            self.took.append(time.monotonic() - began)
        finally:
            daemon.kill()
        assert "Traceback" not in daemon.log()

    @staticmethod
    def _while(seconds: float, restless: bool) -> Iterator[None]:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
            if restless:
                yield


@pytest.mark.timeout(3_600)
def test_PROC1_stops_at_random_moments_with_hung_work_all_end_with_zero_in_time(alone: Scene) -> None:
    alone.write(hanging(alone))
    stops = Stops(alone, 1)
    for held, number in (("well", STOPS - HELD), ("hold", HELD)):
        alone.mood(**HUNG, holder=held)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(stops.one, range(number)))
        took = sorted(stops.took)
        assert len(took) == number
        p99 = took[math.ceil(number * 0.99) - 1]
        print(f"\n{number} stops, loop {held}: p50 {took[number // 2]:.2f}, p99 {p99:.2f}, longest {took[-1]:.2f} s")
        assert took[-1] <= WITHIN
        stops.took.clear()


class Scrapes:
    """One connection that asks for the page ten times a second."""

    def __init__(self, daemon: Daemon) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=1.0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.number = 0
        self.missed: list[str] = []

    def __enter__(self) -> Scrapes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(5.0)
        self._connection.close()

    def _work(self) -> None:
        while not self._ended.wait(0.1):
            self.number += 1
            try:
                self._connection.request("GET", "/metrics")
                answer = self._connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.missed.append(type(error).__name__)
                self._connection.close()
                continue
            if answer.status != 200 or b"publishing_health_status" not in body or b"one_items" not in body:
                self.missed.append(f"{answer.status} with {len(body)} bytes")


BAD = ("log: {level: loud}", "cycle: [", "", "\0", "targets: {static: [{name: X}]}")


@pytest.mark.timeout(3_600)
def test_PROC3_reloads_half_of_them_bad_miss_no_scrape_and_leave_nothing_behind(scene: Scene) -> None:
    config = scene.config("one", "two")
    daemon = scene.start(config)
    fds = daemon.vitals().fds
    for _ in range(RELOADS // ROUND):
        # A collector whose own settings change begins anew: what it found is gone until it has run.
        with scene.fault(but_for=["X2: two"]), Scrapes(daemon) as scrapes:
            a_round_of_reloads(scene, config)
            page = scene.cycles(2)
            runs, begin = scene.runs("one"), cycles(page)
            time.sleep(3.0)
            assert abs((scene.runs("one") - runs) - (cycles(daemon.page()) - begin)) <= 2
            assert not doubled(daemon.page())
        assert scrapes.missed == []
        assert scrapes.number >= ROUND / 20 / 0.2
    assert daemon.vitals().fds <= fds + 2


def a_round_of_reloads(scene: Scene, config: Config) -> None:
    """Twenty in a second, each other one of a bad file."""
    statuses: list[int] = []
    for number in range(ROUND):
        began = time.monotonic()
        config["log"]["level"] = ("debug", "info")[number // 2 % 2]
        config["collectors"]["two"] = {"interval": f"{1 + number // 2 % 7}s"}
        scene.write(BAD[number // 2 % len(BAD)] if number % 2 else config)
        statuses.append(scene.daemon.reload().status)
        time.sleep(max(0.0, 0.05 - (time.monotonic() - began)))
    scene.write(config)
    assert scene.daemon.reload().status == 200
    assert statuses == [200, 400] * (ROUND // 2)


def cycles(page: Page) -> float:
    return page.own("collection_duration_seconds_count")


def doubled(page: Page) -> list[str]:
    """Series that are on the page twice."""
    lines = [line.rpartition(" ")[0] for line in page.text.splitlines() if not line.startswith("#")]
    return [line for line in set(lines) if lines.count(line) > 1]
