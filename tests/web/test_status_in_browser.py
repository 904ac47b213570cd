"""The status page in a real Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from exporter.model.reason import Flaw, Outcome, Reason
from exporter.model.snapshot import Record
from exporter.publishing.health import HealthDetail
from exporter.publishing.listing import Invalid
from exporter.publishing.outlook import NOTHING
from exporter.publishing.refresh import DiscoveryDetail, RefreshDetail
from exporter.publishing.statistics import Book
from exporter.publishing.upstream import UpstreamDetail, UpstreamState
from exporter.publishing.verdict import HealthState
from exporter.publishing.world import World
from exporter.web import server
from exporter.web.events import Events
from tests.browser import Browser, Tab, browser
from tests.publishing.services import replica, rows, service
from tests.web.conftest import BROKEN, Running, found, picture, serving, snapshot, source, target, trouble
from tests.web.test_status import HOSTILE

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIVE = "document.getElementById('link').className === 'live'"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Everything that reaches beyond the window, also where a parent hides it.
OUTSIDE = """
[...document.querySelectorAll("main *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5 && !one.closest("thead"))
  .map((one) => one.outerHTML.slice(0, 80))
"""
# The least contrast of any text with what is behind it, by the rule of WCAG 2.
CONTRAST = """
(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (one) => {
    for (let up = one; up; up = up.parentElement) {
      const colour = numbers(getComputedStyle(up).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
  };
  const texts = [...document.querySelectorAll("body *")]
    .filter((one) => !one.closest("noscript, script, style"))
    .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return texts.length && Math.min(...texts.map((one) => {
    const [a, b] = [light(numbers(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  }));
})()
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with browser(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def site() -> AsyncIterator[Running]:
    async with serving() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def tab(chromium: Browser) -> AsyncIterator[Tab]:
    async with chromium.tab() as opened:
        yield opened
        assert opened.messages == [], "nothing was written to the console, and no policy was broken"


def strays() -> UpstreamState:
    """A service that publishes to targets with long names, none of them configured here."""
    jobs = rows("jobs_processed_total", {("w" * 200, "succeeded"): 3.0, ("on-call", "failed"): 2.0})
    return service(replica(jobs, rows("queue_size", {("high",): 7.0})))


def refresh_with_long_texts() -> RefreshDetail:
    broken = found(1, **BROKEN).details["refresh"]
    assert isinstance(broken, RefreshDetail)
    long = source("kubernetes", reason=Reason.DECODE, detail="w" * 300, name="k" * 150)
    document = Invalid("file", "d" * 300, Flaw.SYNTAX, "e" * 300)
    return replace(broken, sources=(*broken.sources, long), invalid=(*broken.invalid, document))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 760, 390, 320])
async def test_fits_its_window_and_can_be_read(site: Running, tab: Tab, width: int, scheme: str) -> None:
    long = target("n" * 150, HealthState.DEGRADED, shown=f"https://{'x' * 200}.example.org")
    page, refresh = trouble(), refresh_with_long_texts()
    known = page.details["health"]
    assert isinstance(known, HealthDetail)
    record = Record("long", Outcome.ERROR, Reason.EXEC, "y" * 300, page.wall, 1.0, None)
    details: dict[str, object] = {
        "health": HealthDetail((*known.targets, long)),
        "discovery": DiscoveryDetail((picture("n" * 150, source="z" * 200), picture("on-call", source="a/b"))),
        "refresh": refresh,
    }
    details["score"] = Book().standing(World.of({**details, "queue": UpstreamDetail((strays(),))}), NOTHING)
    site.feed.publish(replace(page, details=details, records={**page.records, "long": record}))
    await tab.colours(scheme)
    await tab.open(site.url("/"), width=width)
    await tab.until(LIVE)
    assert await tab.evaluate(OVERFLOW) == 0
    assert await tab.evaluate(OUTSIDE) == []
    assert await tab.evaluate(CONTRAST) >= 4.5
    ground = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(245, 246, 248)") == (scheme == "light")


async def test_shows_a_new_snapshot_without_being_loaded_again(site: Running, tab: Tab) -> None:
    site.feed.publish(trouble(1))
    await tab.open(site.url("/"), height=300)
    await tab.until(LIVE)
    # What a person does meanwhile: reads further down, selects a name, walks with the keyboard.
    await tab.evaluate(
        """
        window.mark = "same page";
        scrollTo(0, 120);
        getSelection().selectAllChildren(
          [...document.querySelectorAll("tbody strong")].find((one) => one.textContent === "legacy-receiver"));
        document.querySelector("nav a").focus({preventScroll: true});
        """
    )
    fresh = trouble(2)
    site.feed.publish(replace(fresh, records={**fresh.records, "queue": Record("queue", Outcome.OK)}))
    await tab.until("document.querySelector('main').dataset.snapshot === '2'")
    assert "2 of 6 targets unhealthy" in await tab.evaluate("document.querySelector('h1').textContent")
    assert "2 of 6 targets unhealthy" in await tab.evaluate("document.title")
    assert await tab.evaluate("[mark, scrollY, String(getSelection()), document.activeElement.textContent]") == [
        "same page",
        120,
        "legacy-receiver",
        "Metrics",
    ]


async def test_rows_come_and_go(site: Running, tab: Tab) -> None:
    site.feed.publish(snapshot(1))
    await tab.open(site.url("/"))
    await tab.until(LIVE)
    for number, names in enumerate((["a", "b", "c", "d"], ["c"], [], ["e"]), start=2):
        detail = HealthDetail(tuple(target(name) for name in names))
        site.feed.publish(snapshot(number, details={"health": detail}))
        await tab.until(f"document.querySelector('main').dataset.snapshot === '{number}'")
        shown = "[...document.querySelectorAll('tbody strong')].map((one) => one.textContent)"
        assert await tab.evaluate(shown) == names


async def test_tells_when_the_connection_is_lost_and_comes_back(site: Running, tab: Tab) -> None:
    site.feed.publish(snapshot(1))
    await tab.open(site.url("/"))
    await tab.until(LIVE)
    address = site.address
    await site.server.stop(1.0)
    await tab.until("document.getElementById('link').textContent.startsWith('connection lost')")
    tab.messages.clear()  # the browser itself notes each refused connection
    async with serving(addresses=[address]) as again:
        again.feed.publish(trouble(1))  # another daemon counts from the start, so the number may be the same
        await tab.until(LIVE)
        await tab.until("document.querySelector('h1').textContent.includes('failing')")
        await tab.open("about:blank")
    tab.messages.clear()


async def test_a_refused_stream_is_asked_for_again(
    chromium: Browser, tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "Events", lambda site: Events(site, limit=1))
    async with serving() as site, chromium.tab() as first:
        await first.open(site.url("/"))
        await first.until(LIVE)
        await tab.open(site.url("/"))
        await tab.until("document.getElementById('link').className === 'lost'")
        await first.open("about:blank")
        await tab.until(LIVE)
        await tab.open("about:blank")
        tab.messages.clear()  # the browser itself notes the 503


async def test_ages_are_told_alike_with_and_without_script_and_tick(site: Running, tab: Tab) -> None:
    site.feed.publish(trouble())
    times = "[...document.querySelectorAll('main time')].map((one) => one.textContent)"
    await tab.scripts(False)
    await tab.open(site.url("/"))
    plain = await tab.evaluate(times)
    await tab.scripts(True)
    await tab.open(site.url("/"))
    await tab.until(LIVE)
    assert [one for one in plain if "in" not in one.split()] == [
        one for one in await tab.evaluate(times) if "in" not in one.split()
    ]
    await tab.until("document.querySelector('.headline time').textContent === '6 s ago'")


async def test_is_readable_without_script(site: Running, tab: Tab) -> None:
    site.feed.publish(trouble())
    await tab.scripts(False)
    await tab.open(site.url("/"), width=390)
    text = await tab.evaluate("document.body.innerText")
    for told in ("1 of 4 collectors failing: queue (timeout)", "on-call", "unhealthy", "Reload the page"):
        assert told in text
    site.feed.publish(found(2, picture("ops", source="alerts/ops"), **BROKEN))
    await tab.open(site.url("/"), width=390)
    text = await tab.evaluate("document.body.innerText")
    for told in ("static alerts/ops", "not all listed", "alerts/ops-rootly"):
        assert told in text
    assert "connecting" not in text
    assert await tab.evaluate(OVERFLOW) == 0


async def test_what_names_and_reasons_hold_does_not_run(site: Running, tab: Tab) -> None:
    def hostile(number: int) -> None:
        bad = target(HOSTILE, HealthState.UNHEALTHY, type=HOSTILE, shown=HOSTILE)
        record = Record(HOSTILE, Outcome.ERROR, Reason.EXEC, HOSTILE, 1.0, 1.0, None)
        detail = HealthDetail((bad,))
        site.feed.publish(snapshot(number, records={HOSTILE: record}, details={"health": detail}))

    await tab.call("Page.addScriptToEvaluateOnNewDocument", source="window.alert = () => { window.ran = true; };")
    hostile(1)
    await tab.open(site.url("/"))
    await tab.until(LIVE)
    hostile(2)
    await tab.until("document.querySelector('main').dataset.snapshot === '2'")
    assert await tab.evaluate("[window.ran === true, document.images.length, document.scripts.length]") == [False, 0, 1]
    assert HOSTILE in await tab.evaluate("document.querySelector('tbody strong').textContent")


async def test_the_policy_stops_what_would_still_get_in(site: Running, chromium: Browser) -> None:
    async with chromium.tab() as tab:
        await tab.open(site.url("/"))
        await tab.evaluate(
            """
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            document.body.setAttribute("style", "color: red");
            """
        )
        assert await tab.evaluate("window.ran === true") is False
        assert any("Content Security Policy" in message for message in tab.messages)


async def test_a_prefix_changes_nothing_for_the_browser(tab: Tab) -> None:
    async with serving(route_prefix="/team/exporter") as site:
        site.feed.publish(snapshot(1))
        await tab.open(site.url("/"))
        await tab.until(LIVE)
        site.feed.publish(snapshot(2))
        await tab.until("document.querySelector('main').dataset.snapshot === '2'")
        statuses = await tab.evaluate(
            "Promise.all([...document.links].map((link) => fetch(link.href).then((answer) => answer.status)))"
        )
        assert statuses == [200, 200, 200, 200]
        await tab.open("about:blank")


async def test_a_screenshot_is_a_picture(site: Running, tab: Tab, tmp_path: Path) -> None:
    await tab.open(site.url("/"))
    await tab.until(LIVE)
    await tab.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
