from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from exporter.model.reason import Flaw, Outcome, Reason
from exporter.model.snapshot import Record
from exporter.publishing.health import HealthDetail
from exporter.publishing.listing import Invalid
from exporter.publishing.refresh import DiscoveryDetail, RefreshDetail, RefreshState
from exporter.publishing.verdict import HealthState
from exporter.web.status_sources import SHOWN_INVALID
from exporter.web.status_targets import SHOWN_TARGETS
from tests.web.conftest import BROKEN, Running, found, picture, serving, snapshot, source, target, trouble

HOSTILE = """</script><script>alert(1)</script><img src=x onerror=alert(1)>"'&"""


class Tags(HTMLParser):
    """The elements of a page and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open.pop() != tag:
            raise AssertionError(f"{tag} closes something else")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data


async def page(site: Running) -> Tags:
    status, body = await site.get("/")
    assert status == 200
    parsed = Tags(body)
    assert parsed.open == [], "every element is closed"
    return parsed


async def test_tells_all_that_a_person_on_call_wants_to_know(site: Running) -> None:
    site.feed.publish(trouble())
    text = (await page(site)).text
    for told in (
        "1 of 4 collectors failing: queue (timeout)",
        "1.2.3",
        "Snapshot 1 · 4 s ago · collected in 12.3 ms",
        "took 10 s, ran 14 s ago",
        "last success 12 min ago",
        "1 of 3 replicas",
        "pagerduty · https://events.pagerduty.com",
        "timeout · 7 times in a row",
        "rate_limited 429 · again in 4 min",
        "41.7 %",
        "in 63 d",
        "ends soon",
        "expired",
        "disabled",
    ):
        assert told in text, told


async def test_a_degraded_target_without_a_reason_answers_slowly(site: Running) -> None:
    slow = target("slow", HealthState.DEGRADED, latency=1.5)
    site.feed.publish(snapshot(1, details={"health": HealthDetail((slow,))}))
    assert "answers slowly" in (await page(site)).text


async def test_tells_where_each_target_was_found(site: Running) -> None:
    site.feed.publish(found(1, picture("ops", origin="kubernetes", source="alerts/ops-slack"), picture("plain")))
    text = (await page(site)).text
    assert "kubernetes alerts/ops-slack" in text
    assert "webhook · https://plain.example.orgstatic" in text


async def test_tells_when_targets_were_looked_for(site: Running) -> None:
    site.feed.publish(found(1, picture("ops")))
    text = (await page(site)).text
    assert "Sources of targetsall listed · 1 min ago · took 200 ms · again in 3 min" in text
    assert "staticlisted1 targetlisted 1 min ago" in text


async def test_tells_which_sources_fail_and_which_documents_give_no_target(site: Running) -> None:
    site.feed.publish(found(1, picture("ops"), **BROKEN))
    text = (await page(site)).text
    for told in (
        "1 of 2 sources of targets failing: kubernetes (connect)",
        "2 documents without a valid target",
        "not all listed · 1 min ago · took 200 ms · failed 3 times in a row · last success 1 min ago · again in 3 min",
        "kubernetesfailing0 targets, 2 invalid, 1 skippedlisted 1 min agoconnect: the API server cannot be reached",
        "alerts/ops-rootlykubernetes · field: url: the url names no host",
        "alerts/auditkubernetes · duplicate",
    ):
        assert told in text, told


@pytest.mark.parametrize(
    ("refresh", "told"),
    [
        ({"state": RefreshState.IDLE, "last_refresh": None, "duration": None}, "not listed yet · again in 3 min"),
        ({"state": RefreshState.IN_PROGRESS, "next_refresh": None}, "being listed now · began 1 min ago · took 200 ms"),
    ],
)
async def test_tells_of_a_refresh_that_is_to_come_or_under_way(
    site: Running, refresh: dict[str, Any], told: str
) -> None:
    site.feed.publish(found(1, **{**refresh, "last_success": None, "sources": (source("file", last_success=None),)}))
    text = (await page(site)).text
    assert told in text
    assert "filenot listed yet0 targets" in text


async def test_a_source_is_named_by_its_kind_and_its_place(site: Running) -> None:
    both = (source("alertmanager", name="alertmanager /etc/a.yml", targets=2), source("static", targets=1))
    site.feed.publish(found(1, sources=both))
    text = (await page(site)).text
    assert "alertmanagerlisted/etc/a.yml2 targets" in text
    assert "staticlisted1 target" in text


async def test_only_some_of_very_many_invalid_documents_are_shown(site: Running) -> None:
    documents = tuple(Invalid("file", f"a.yaml[{number}]", Flaw.FIELD) for number in range(SHOWN_INVALID + 3))
    site.feed.publish(found(1, invalid=documents, sources=()))
    _, body = await site.get("/")
    assert body.count("a.yaml[") == SHOWN_INVALID
    assert "3 more are not shown here" in body
    assert 'href="api/v2/publishing/targets/status"' in body


async def test_without_the_collector_of_refreshes_nothing_is_said_of_them(site: Running) -> None:
    site.feed.publish(snapshot())
    assert "Sources" not in (await page(site)).text


async def test_is_there_before_the_first_snapshot(site: Running) -> None:
    assert "Starting: no cycle has ended yet" in (await page(site)).text


async def test_a_new_snapshot_shows_at_once(site: Running) -> None:
    site.feed.publish(snapshot(1))
    assert "Snapshot 1" in (await page(site)).text
    site.feed.publish(snapshot(2))
    assert "Snapshot 2" in (await page(site)).text


async def test_ages_grow_as_time_passes(site: Running) -> None:
    site.feed.publish(snapshot())
    await page(site)
    site.clock.passed = 5.0
    assert "Snapshot 1 · 9 s ago" in (await page(site)).text


async def test_works_without_targets_and_without_collectors(site: Running) -> None:
    site.feed.publish(snapshot(1, details={}, records={}))
    text = (await page(site)).text
    assert "No targets are being watched." in text
    assert "No collector is enabled." in text


async def test_whatever_names_and_reasons_hold_is_text(site: Running) -> None:
    hostile = target(HOSTILE, HealthState.DEGRADED, type=HOSTILE, shown=HOSTILE)
    record = Record(HOSTILE, Outcome.ERROR, Reason.EXEC, HOSTILE, 1.0, 1.0, None)
    bad = RefreshDetail(
        sources=(source(HOSTILE, reason=Reason.DECODE, detail=HOSTILE),),
        invalid=(Invalid(HOSTILE, HOSTILE, Flaw.SYNTAX, HOSTILE),),
    )
    where = DiscoveryDetail((picture(HOSTILE, source=HOSTILE),))
    details = {"health": HealthDetail((hostile,)), "refresh": bad, "discovery": where}
    site.feed.publish(snapshot(1, records={HOSTILE: record}, details=details))
    parsed = await page(site)
    assert parsed.tags.count("script") == 1
    assert "img" not in parsed.tags
    assert parsed.text.count(HOSTILE) >= 13


async def test_only_the_worst_of_very_many_targets_are_shown(site: Running) -> None:
    many = [target(f"t{number}") for number in range(SHOWN_TARGETS + 7)] + [target("bad", HealthState.UNHEALTHY)]
    site.feed.publish(snapshot(1, details={"health": HealthDetail(tuple(many))}))
    parsed = await page(site)
    assert parsed.tags.count("tr") == SHOWN_TARGETS + 1
    assert "8 more are not shown here" in parsed.text
    assert parsed.text.index("bad") < parsed.text.index("t0")


async def test_only_its_own_style_and_script_may_run(site: Running) -> None:
    async with site.client.get(site.url("/")) as answer:
        body = await answer.text()
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert policy.count("'sha256-") == 2
    assert "style=" not in body
    assert "onclick" not in body


async def test_links_are_relative() -> None:
    async with serving(route_prefix="/x") as site:
        _, body = await site.get("/x/")
    for place in ("metrics", "openapi.json", "-/healthy", "-/ready"):
        assert f'href="{place}"' in body
