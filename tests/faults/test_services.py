"""Watched services whose pages are not what they should be: none of it gets through, and it is said why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fakes.bodies import bomb, endless, head
from tests.fakes.receiver import Receiver
from tests.fakes.remote import Script, answer, says
from tests.faults.canary import CANARIES
from tests.faults.page import Page
from tests.faults.scene import Scene

pytestmark = pytest.mark.slow

SENT = "publishing_publisher_attempts_total"
KEPT = "X6: rss"  # the allocator may keep for the next page what a large one took: within the growth allowed here
# Fourteen megabytes are not always there in time where others need the processor too.
LATE = ("X3: publishers has errors", "X3: queue has errors")
GROWTH = 64.0  # MiB a page may cost, whatever is on it; the limit of a body is a quarter of it
TEXT = "Content-Type: text/plain; version=0.0.4"


def told(number: int, more: str = "") -> Script:
    return says(answer(200, TEXT, body=f"vmalert_alerts_sent_total {number}\n{more}".encode()))


def watching(scene: Scene) -> Receiver:
    """A service that is fine, watched by a daemon that knows secrets of it."""
    service = scene.victim()
    service.script = told(7)
    config = scene.config()
    url = service.url(f"/{CANARIES['path']}?token={CANARIES['query']}")
    config["publishing_services"] = [
        {"name": "watched", "dialect": "vmalert", "url": url, "headers": {"X-Api-Key": CANARIES["header"]}}
    ]
    scene.start(config)
    assert scene.page_with(up(1.0), 10.0).total(SENT) == 7.0
    return service


def up(expected: float) -> Callable[[Page], bool]:
    return lambda page: page.total("publishing_upstream_up") == expected and bool(page.series("publishing_upstream_up"))


def refused(scene: Scene, script: Script, reason: str, *but_for: str) -> None:
    """A page that begins to be so brings nothing of it, costs little, and is read again once it is mended."""
    service = watching(scene)
    before = scene.daemon.peak_rss()
    with scene.fault({"publishers": [reason]}, but_for=but_for):
        service.script = script
        page = scene.page_with(up(0.0), 10.0)
        assert not page.series(SENT)
        assert not page.series("publishing_upstream_scrape_samples")
        for _ in range(3):
            page = scene.cycles(1)
            assert page.own("collector_up", collector="publishers") == 0.0
            assert page.own("collector_up", collector="queue") == 1.0
            assert page.own("collector_errors_total", collector="queue", reason=reason) >= 1.0
        assert scene.daemon.peak_rss() - before < GROWTH
        service.script = told(8)
        assert scene.page_with(up(1.0), 10.0).total(SENT) == 8.0


@pytest.mark.parametrize(
    "page",
    [
        "vmalert_alerts_sent_total 0x10\n",
        "vmalert_alerts_sent_total 1_000\n",
        "vmalert_alerts_sent_total 1 NaN\n",
        "vmalert_alerts_sent_total 1\nmy-metric 1\n",
        "vmalert_alerts_sent_total 1\nvmalert_alerts_sent_total 1\n",
        "vmalert_alerts_sent_total 12",
        f"<html>{CANARIES['exception']}</html>\n",
    ],
    ids=["hexadecimal", "underscore", "timestamp", "name", "twice", "cut", "for people"],
)
def test_UP12_a_malformed_page_is_refused_whole(scene: Scene, page: str) -> None:
    refused(scene, says(answer(200, TEXT, body=page.encode())), "parse")


def test_UP12_labels_by_the_ten_thousand_on_one_line_are_refused(scene: Scene) -> None:
    labels = ",".join(f'label_{number}="1"' for number in range(20_000))
    page = f"vmalert_alerts_sent_total{{{labels}}} 1\n"
    refused(scene, says(answer(200, TEXT, body=page.encode())), "limit")


def test_CARD1_a_million_series_of_a_service_are_refused(scene: Scene) -> None:
    page = "".join([f'a{{x="{number}"}} 1\n' for number in range(1_000_000)])
    assert len(page) < 16 << 20
    refused(scene, says(answer(200, TEXT, body=page.encode())), "limit", KEPT, *LATE)


def test_UP4_a_page_that_breaks_off_brings_nothing(scene: Scene) -> None:
    refused(scene, says(head(200, TEXT, "Content-Length: 1000") + b"vmalert_alerts_sent_total 1\n"), "decode")


def test_UP9_a_page_without_end_is_left_at_the_limit(scene: Scene) -> None:
    script = endless(head(200, TEXT, "Content-Length: 999999999"), b"vmalert_alerts_sent_total 1\n" * 1000)
    refused(scene, script, "too_large", KEPT)


def test_UP10_the_bomb_of_a_service_does_not_go_off(scene: Scene) -> None:
    refused(scene, says(answer(200, TEXT, "Content-Encoding: gzip", body=bomb(mib=512))), "too_large", KEPT)


def test_COL11_a_counter_of_a_service_that_goes_down_is_shown_as_it_is(scene: Scene) -> None:
    service = watching(scene)
    with scene.fault():
        service.script = told(2, "process_start_time_seconds 5\n")
        scene.page_with(lambda page: page.total(SENT) == 2.0, 5.0)
