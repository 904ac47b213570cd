"""What stands in Secrets: malformed, disabled, twice, forbidden, too much, or nothing at all."""

from __future__ import annotations

import json
import time

import pytest

from tests.fakes.kubernetes import faults
from tests.fakes.kubernetes.watching import Turn
from tests.faults import canary
from tests.faults.canary import CANARIES
from tests.faults.clusters import ERRORS, LABELS, PLACE, Site, probed, steady
from tests.faults.page import Page
from tests.faults.process import until
from tests.faults.scene import Scene
from tests.publishing.broken_secrets import BROKEN, CANARY

pytestmark = pytest.mark.slow

GROWTH = 64.0  # MiB
DOCUMENTS = "publishing_discovered_secrets"


def documents(page: Page, status: str) -> float:
    return page.value(DOCUMENTS, status=status)


def told_nothing_of(scene: Scene, secret: str) -> None:
    """Neither an answer nor the log shows it."""
    outputs = dict(canary.answers(scene.daemon)) | {"log": scene.daemon.log().encode()}
    assert [where for where, output in outputs.items() if secret.encode() in output] == []


def test_K8S9_malformed_secrets_are_told_by_name_and_cost_the_others_nothing(scene: Scene, site: Site) -> None:
    site.put(*(f"bulk-{number:03}" for number in range(197)), enabled=False)
    site.start("one", "two")
    broken = [each for each in BROKEN if each.name != "loopback"]  # allowed here, as the receiver is there
    bom = {"config": "\ufeff" + site.data("bom")["config"]}
    peak = scene.daemon.peak_rss()
    # What it takes to complain of a document is needed for the first time here, and kept.
    with scene.fault(but_for=["X6: rss"]) as seen:
        site.api.put_all([(PLACE, each.name, each.data, LABELS) for each in broken], encoded=True)
        site.api.put(PLACE, "mebibyte", {"config": "x" * (1 << 20)}, LABELS)
        site.api.put(PLACE, "bom", bom, LABELS)  # what some editors write in front of a text
        page = site.shows("bom", "one", "two")
        expected = {f"{PLACE}/{each.name}": str(each.flaw) for each in broken} | {f"{PLACE}/mebibyte": "syntax"}
        until(lambda: site.invalid() == expected, 5.0, "all of them are listed with their reasons")
        page = scene.cycles(1)
        assert documents(page, "invalid") == len(expected)
        assert documents(page, "valid") == 197 + 3 + 3
        for flaw in set(expected.values()):
            assert page.value(ERRORS, error_type=flaw) >= list(expected.values()).count(flaw)
        steady(page)
        told_nothing_of(scene, CANARY)
        assert scene.daemon.peak_rss() - peak < GROWTH / 2
        site.delete("mebibyte", *(each.name for each in broken))
        until(lambda: site.invalid() == {}, 5.0, "those that are gone are forgotten")
    for place in expected:
        assert scene.daemon.log_lines("gives no target", f"document={place} ", start=seen.log_start), place


def test_K8S10_what_is_disabled_stays_so_in_every_spelling(scene: Scene, site: Site) -> None:
    url = scene.receiver.url(f"/{CANARIES['secret_path']}")
    site.start("one")
    with scene.fault():
        disabled: dict[str, dict[str, str]] = {
            "json": {"config": json.dumps({"name": "json", "type": "webhook", "url": url, "enabled": False})},
            "word": {"name": "word", "type": "webhook", "url": url, "enabled": "false"},
            "number": {"name": "number", "type": "webhook", "url": url, "enabled": "0"},
            "helm": {"target-name": "helm", "webhook-url": url, "format": "slack", "enabled": "False"},
        }
        for name, data in disabled.items():
            site.api.put(PLACE, name, data, LABELS)
        site.api.put(PLACE, "perhaps", {"name": "perhaps", "type": "webhook", "url": url, "enabled": "maybe"}, LABELS)
        until(lambda: site.invalid() == {f"{PLACE}/perhaps": "field"}, 5.0, "a word that is neither is a flaw")
        page = scene.cycles(3)
        off = {
            dict(labels)["type"]: value
            for labels, value in page.series("publishing_targets").items()
            if dict(labels)["enabled"] == "false"
        }
        assert off["webhook"] + off["slack"] == len(disabled)
        assert probed(page) == ["one"]
        targets = scene.daemon.get("/api/v2/publishing/targets").json()["targets"]
        assert isinstance(targets, list)
        assert {each["name"]: each["enabled"] for each in targets if each["origin"] == "kubernetes"} == {
            "one": True,
            **dict.fromkeys(disabled, False),
        }


def test_K8S11_of_two_secrets_with_one_target_name_the_first_wins_and_both_are_told(scene: Scene, site: Site) -> None:
    site.start("one")
    with scene.fault():
        other = scene.receiver.url(f"/{CANARIES['secret_path']}", host="localhost")
        for name in ("b", "a", "c"):
            site.api.put(PLACE, name, site.data("twice", url=other if name == "a" else scene.receiver.url()), LABELS)
        site.shows("one", "twice")

        def told() -> bool:
            return site.invalid() == {f"{PLACE}/b": "duplicate", f"{PLACE}/c": "duplicate"}

        until(told, 5.0, "two of three are duplicates")
        shown = scene.daemon.get("/api/v2/publishing/targets/twice").json()
        assert (shown["source"], shown["url"]) == (f"{PLACE}/a", f"http://localhost:{scene.receiver.port}")
        assert {each["detail"] for each in site.status()["invalid"]} == {
            f"the target twice is defined by kubernetes {PLACE}/a"
        }
        assert scene.daemon.page().value(ERRORS, error_type="duplicate") >= 2
        site.delete("a")
        until(lambda: site.invalid() == {f"{PLACE}/c": "duplicate"}, 5.0, "the next one takes over")
        site.delete("b", "c")
        site.shows("one")


def test_K8S12_a_secret_that_points_inside_is_refused_and_told(scene: Scene, site: Site) -> None:
    config = site.config()
    config["targets"]["policy"] = {}
    config["targets"]["static"] = []
    scene.start(config)
    with scene.fault():
        refused = {
            "metadata": "http://169.254.169.254/latest/meta-data/",
            "loopback": scene.receiver.url(),
            "octal": f"http://0177.0.0.1:{scene.receiver.port}/",
            "number": f"http://2130706433:{scene.receiver.port}/",
            "mapped": f"http://[::ffff:127.0.0.1]:{scene.receiver.port}/",
            "api": site.api.url,
            "named": scene.receiver.url(host="localhost"),
            "within": "https://kubernetes.default.svc/api/v1/secrets",
            "file": "file:///etc/passwd",
        }
        for name, url in refused.items():
            site.put(name, url=url)
        heads = len(scene.receiver.heads)
        expected = {f"{PLACE}/{name}": "policy" for name in refused} | {f"{PLACE}/file": "field"}
        until(lambda: site.invalid() == expected, 5.0, "all are refused")
        assert probed(scene.cycles(2)) == []
        assert len(scene.receiver.heads) == heads


def test_K8S13_large_lists_come_in_pages_and_secrets_that_flicker_cost_little(scene: Scene, site: Site) -> None:
    config = site.config(interval="60s", timeout="30s")
    config["cycle"] = {"interval": "2s", "timeout": "2s"}
    config["collectors"]["health"] |= {"interval": "2s", "timeout": "2s"}
    scene.interval = scene.timeout = 2.0
    daemon = scene.start(config)
    before = daemon.vitals().rss
    padding = CANARIES["secret_padding"] * 3000  # 55 kB
    with scene.fault(but_for=["X6: rss"]):
        for start in range(0, 5000, 500):
            many = [(f"bulk-{number:04}") for number in range(start, start + 500)]
            secrets = [(PLACE, name, site.data(name, enabled=False) | {"padding": padding}, LABELS) for name in many]
            site.api.put_all(secrets)
        assert site.refresh() == 202
        scene.page_with(lambda page: documents(page, "valid") == 5003, 60.0, "all are known")
        assert daemon.peak_rss() - before < 2 * GROWTH
        cycles = scene.cycles(1).own("collection_duration_seconds_count")
        began = time.monotonic()
        for _ in range(1000):
            site.put("flicker")
            site.delete("flicker")
        site.put("last")
        page = site.shows("last")
        spent = time.monotonic() - began
        # Extra cycles are at most one a second, however often something changes.
        assert page.own("collection_duration_seconds_count") - cycles <= spent / scene.interval + spent + 3
        assert documents(page, "valid") == 5004
        assert daemon.peak_rss() - before < 2 * GROWTH
    steady(page)


def test_K8S14_nothing_to_be_found_is_no_failure(scene: Scene, site: Site) -> None:
    site.start("one")
    with scene.fault():
        site.api.delete_namespace(PLACE)
        page = site.shows()
        assert (documents(page, "valid"), documents(page, "invalid")) == (3, 0)
        steady(site.listed_again())
        site.put("two")
        site.shows("two")
        site.api.patch(PLACE, "two", labels={"publishing-target": None})  # the selector finds nothing
        page = site.shows()
        assert site.source()["targets"] == 0
        assert site.source()["reason"] is None
        steady(page)


def test_K8S15_lines_that_cannot_be_read_lead_to_a_list_and_others_to_nothing(scene: Scene, site: Site) -> None:
    daemon_page = site.start("one", interval="60s", timeout="5s")
    steady(daemon_page)
    with scene.fault():
        lists = len(site.api.requests.of("list"))
        site.api.say(faults.UNKNOWN_EVENT, b"\n")
        site.api.bookmark()
        site.put("two")
        site.shows("one", "two", within=3.0)
        assert len(site.api.requests.of("list")) == lists
        peak = scene.daemon.peak_rss()
        site.api.say(faults.MALFORMED, Turn.DROPS)
        site.put("three")
        site.shows("one", "three", "two", within=20.0)
        site.api.wait(lambda: site.api.watches == 1)
        site.api.fail(faults.says_long_line(), "watch", times=1)
        site.api.end_watches()
        site.put("four")
        site.shows("four", "one", "three", "two", within=40.0)
        assert scene.daemon.peak_rss() - peak < GROWTH


def test_K8S16_what_a_proxy_says_instead_changes_no_target(scene: Scene, site: Site) -> None:
    site.start("one")
    with scene.fault():
        site.api.fail(faults.says_html())
        site.api.drop_watches()
        page = site.fails("decode")
        assert (site.source()["reason"], site.source()["targets"]) == ("decode", 1)
        assert probed(page) == ["one"]
        assert page.value("publishing_health_status", target="one") == 1
        site.api.heal()
        site.put("two")
        site.shows("one", "two")
        site.listed_again()
    steady(scene.daemon.page())
