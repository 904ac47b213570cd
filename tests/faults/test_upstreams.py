"""Targets that do not answer as they should: that is news about them, and no failure of the collector."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.fakes.receiver import FINE, BlackHole, Receiver
from tests.fakes.remote import hangs
from tests.faults.expectations import Observed
from tests.faults.page import Page
from tests.faults.process import until
from tests.faults.scene import Scene

pytestmark = pytest.mark.slow

HEALTHY, UNHEALTHY = 1, 3
PROBE_TIMEOUT = 0.3
GROWTH = 64.0
ERRORS = "publishing_health_check_errors_total"
DURATION = "publishing_health_check_duration_seconds"


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte a second, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b"z")
        await writer.drain()
        await asyncio.sleep(1.0)


@contextmanager
def watched(scene: Scene, **urls: str) -> Iterator[Observed]:
    """A fault of targets: the collector stays up, and the good targets are probed in every cycle."""
    config = scene.config()
    config["targets"]["static"] += [{"name": name, "type": "webhook", "url": url} for name, url in urls.items()]
    scene.start(config)
    with scene.fault() as seen:
        yield seen
    for page in seen.during:
        assert page.own("collector_up", collector="health") == 1
        assert page.value("publishing_health_status", target="good") == HEALTHY


def sick(scene: Scene, target: str, reason: str) -> Page:
    """Waits until a target is unhealthy, and checks that each failed probe is counted with the reason."""
    page = scene.page_with(lambda page: page.get("publishing_health_status", target=target) == UNHEALTHY, 10.0)
    later = scene.cycles(4)
    errors = later.value(ERRORS, target=target, reason=reason) - page.value(ERRORS, target=target, reason=reason)
    checks = later.value("publishing_health_checks_total", target=target, outcome="failure") - page.value(
        "publishing_health_checks_total", target=target, outcome="failure"
    )
    assert errors == checks
    assert 3 <= errors <= 5
    assert later.total(ERRORS, target=target) == later.value(ERRORS, target=target, reason=reason)
    good = [p.value("publishing_health_checks_total", target="good", outcome="success") for p in (page, later)]
    assert abs(good[1] - good[0] - checks) <= 1
    return later


def well_again(scene: Scene, *targets: str) -> None:
    def all_healthy(page: Page) -> bool:
        return all(page.get("publishing_health_status", target=target) == HEALTHY for target in targets)

    scene.page_with(all_healthy, scene.interval + 1.0, "the targets are healthy within one cycle and a second")


def on_time(before: Page, after: Page, target: str) -> None:
    """No probe lasts longer than it may, and none gives up earlier."""
    spent = after.value(f"{DURATION}_sum", target=target) - (before.get(f"{DURATION}_sum", target=target) or 0.0)
    probes = after.value(f"{DURATION}_count", target=target) - (before.get(f"{DURATION}_count", target=target) or 0.0)
    assert PROBE_TIMEOUT * 0.95 <= spent / probes <= PROBE_TIMEOUT + 0.15


def test_UP1_refused_connections_are_counted_as_such_and_the_others_are_on_time(scene: Scene) -> None:
    victim = scene.victim()
    with watched(scene, victim=victim.url()):
        victim.close()
        sick(scene, "victim", "connect")
        victim.open()
        well_again(scene, "victim")


def test_UP1_a_name_without_address_is_counted_as_such_and_the_others_are_on_time(scene: Scene) -> None:
    with watched(scene, nowhere="http://nothing.invalid/"):
        sick(scene, "nowhere", "dns")


def test_UP1_a_black_hole_is_left_at_the_timeout_and_the_others_are_on_time(scene: Scene) -> None:
    victim = scene.victim()
    with watched(scene, victim=victim.url()):
        before = scene.cycles(1)
        victim.close()
        hole = BlackHole(victim.port)
        before = scene.page_with(lambda page: bool(page.value(ERRORS, target="victim", reason="timeout")), 3.0)
        on_time(before, sick(scene, "victim", "timeout"), "victim")
        hole.close()
        victim.open()
        well_again(scene, "victim")


@contextmanager
def turned(scene: Scene, script: Callable[..., object]) -> Iterator[Receiver]:
    """A target whose answers are as they should be, then as scripted, then as they should be again."""
    victim = scene.victim()
    with watched(scene, victim=victim.url()):
        victim.script = script  # type: ignore[assignment]
        before = scene.page_with(lambda page: bool(page.value(ERRORS, target="victim", reason="timeout")), 3.0)
        on_time(before, sick(scene, "victim", "timeout"), "victim")
        yield victim
        victim.script = FINE
        well_again(scene, "victim")


def test_UP2_a_target_that_says_nothing_is_left_at_the_timeout(scene: Scene) -> None:
    with turned(scene, hangs) as victim:
        assert victim.most_open <= 2


def test_UP3_a_target_that_drips_is_left_at_the_timeout_all_the_same(scene: Scene) -> None:
    with turned(scene, drips):
        pass


def test_UP16_of_200_targets_198_hang_and_the_cycle_ends_on_time(scene: Scene) -> None:
    hanging = scene.victim()
    config = scene.config()
    bound = 50
    config["cycle"] = {"interval": "2s", "timeout": "2s"}
    config["collectors"]["health"] |= {"interval": "2s", "timeout": "2s", "probe_timeout": "2s", "concurrency": bound}
    names = [f"hanging-{at}" for at in range(198)]
    config["targets"]["static"] = [
        *config["targets"]["static"][:2],
        *({"name": name, "type": "webhook", "url": hanging.url(f"/{name}")} for name in names),
    ]
    scene.interval, scene.timeout = 2.0, 2.0
    daemon = scene.start(config)
    before = daemon.vitals().rss
    with scene.fault() as seen:
        hanging.script = hangs
        start = scene.page_with(
            lambda page: all(
                value
                for of, value in page.series(ERRORS).items()
                if ("reason", "timeout") in of and dict(of)["target"] in names
            ),
            20.0,
        )
        peak = 0.0
        began = time.monotonic()
        while time.monotonic() - began < 9.0:
            peak = max(peak, daemon.vitals().rss)
            time.sleep(0.1)
        page = scene.cycles(1)
        hanging.script = FINE
        until(lambda: hanging.open_now == 0, 5.0, "no probe hangs any more")
    assert peak - before < GROWTH
    assert hanging.most_open <= bound
    for good in ("good", "filed"):
        assert page.value("publishing_health_status", target=good) == HEALTHY
        probes = [p.value("publishing_health_checks_total", target=good, outcome="success") for p in (start, page)]
        assert probes[1] - probes[0] >= 4
    failed = [
        page.value("publishing_health_checks_total", target=name, outcome="failure")
        - start.value("publishing_health_checks_total", target=name, outcome="failure")
        for name in names
    ]
    # None is starved by those before it.
    assert max(failed) - min(failed) <= 1
    assert min(failed) >= 3
    assert seen.during
