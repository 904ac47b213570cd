"""An API server that is not there, refuses, forgets or falls silent: targets stay, and are right again after it."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.fakes.authority import Authority
from tests.fakes.kubernetes import faults
from tests.faults.canary import CANARIES
from tests.faults.clusters import ERRORS, PLACE, Site, probed, rotated, steady
from tests.faults.process import until
from tests.faults.scene import Scene

pytestmark = pytest.mark.slow

NEXT = CANARIES["bearer"][::-1].swapcase() + "9"  # a token that follows the first
LISTED = "publishing_discovery_last_success_timestamp_seconds"
FAILED = ("X4: others: a line about a collector", "X2: discovery")


def test_K8S1_without_an_api_server_the_daemon_starts_and_finds_the_targets_when_it_comes(
    scene: Scene, site: Site
) -> None:
    config = site.config()
    config["targets"]["static"] = []
    site.put("one", "two")
    site.api.stop()
    daemon = scene.start(config)
    # It was down before the fault was looked at, so that what is said of the beginning is not within it.
    with scene.fault(but_for=FAILED):
        page = scene.cycles(2)
        assert page.own("collector_up", collector="discovery") == 0
        assert page.own("collector_errors_total", collector="discovery", reason="connect") >= 2
        assert page.get("publishing_targets", type="webhook", enabled="true") is None
        assert len(daemon.log_lines("collector failed", "collector=discovery", "reason=connect")) == 1
        site.api.start()
        page = site.shows("one", "two")
        assert page.value("publishing_targets", type="webhook", enabled="true") == 2
        scene.page_with(lambda page: bool(page.own("collector_up", collector="discovery")), 2.0)
    assert daemon.process.poll() is None


def test_K8S1_while_the_api_server_is_down_it_is_asked_ever_more_seldom(scene: Scene, site: Site) -> None:
    site.start("one", interval="60s", attempts=5, backoff="1s", backoff_max="30s")
    with scene.fault():
        began = time.monotonic()
        site.api.fail(faults.drops)
        site.api.drop_watches()
        assert site.refresh() == 202
        page = site.fails("connect")
        time.sleep(6.0)
        site.calm(began, 6.0)
        assert probed(page) == ["one"]
        assert scene.daemon.page().own("collector_up", collector="discovery") == 1
        asked = [request.at for request in site.api.requests.of("list") if request.at >= began]
        gaps = [after - before for before, after in pairwise(asked)]
        assert all(after > before for before, after in pairwise(gaps)), gaps
        site.api.heal()
        site.put("two")
        assert site.refresh() in (202, 503)
        site.shows("one", "two", within=30.0)


def test_K8S2_a_token_that_was_rotated_is_read_again_and_one_that_is_refused_is_told(scene: Scene, site: Site) -> None:
    token = scene.folder / "token"
    token.write_text(CANARIES["bearer"])
    site.api.entry().with_token_file(site.kubeconfig, token)
    site.start("one")
    with scene.fault():
        rotated(token, NEXT)
        site.api.token = NEXT
        site.api.drop_watches()
        site.put("two")
        page = site.shows("one", "two")
        assert page.value(ERRORS, error_type="auth") == 0
        site.api.token = CANARIES["bearer"]
        before = len(site.api.requests)
        page = site.fails("auth")
        assert probed(page) == ["one", "two"]
        assert site.source()["reason"] == "auth"
        assert "does not accept our credentials" in site.source()["error"]
        # Each of them is repeated once with what is read anew: a list that was refused is not tried again at once.
        assert len(site.api.requests) - before <= 6
        rotated(token, CANARIES["bearer"])
        site.listed_again()
        assert site.source()["reason"] is None
    steady(scene.daemon.page())


def test_K8S3_a_list_that_is_forbidden_is_named_and_the_targets_stay_with_their_age(scene: Scene, site: Site) -> None:
    site.start("one")
    with scene.fault():
        site.api.fail(faults.refuses(403), "list")
        page = site.fails("auth")
        assert site.source()["error"] == f"not allowed to list secrets in the namespace {PLACE}"
        listed = page.value(LISTED)
        later = scene.cycles(3)
        assert probed(later) == ["one"]
        assert later.value(LISTED) == listed
        assert later.value("publishing_health_status", target="one") == 1
        site.put("two")
        site.shows("one", "two")  # the watch lives
        site.api.heal()
        assert site.listed_again().value(LISTED) > listed


def test_K8S3_where_only_watching_is_forbidden_changes_are_seen_by_listing(scene: Scene, site: Site) -> None:
    site.start("one")
    with scene.fault() as seen:
        site.api.fail(faults.refuses(403), "watch")
        site.api.end_watches()
        site.put("two")
        steady(site.shows("one", "two"))
        began = time.monotonic()
        site.delete("one")
        steady(site.shows("two"))
        site.listed_again()
        # Once after the watch had ended, and never more often than there are lists: a pause of 30 s stands between.
        watched = [asked for asked in site.api.requests.of("watch") if asked.at >= began]
        assert len(watched) <= 1
        site.api.heal()
    lines = scene.daemon.log_lines("watch failed", start=seen.log_start)
    assert len(lines) == 1
    assert f"not allowed to watch secrets in the namespace {PLACE}" in lines[0]
    assert "reason=auth" in lines[0]


def test_K8S4_a_pause_the_api_server_asks_for_is_kept_by_everyone(scene: Scene, site: Site) -> None:
    site.start("one")
    with scene.fault():
        site.api.fail(faults.refuses(429, retry_after=4), times=1)
        site.api.drop_watches()
        site.fails("rate_limited")
        assert "pause" in site.source()["error"] or "fewer requests" in site.source()["error"]
        site.put("two")
        page = site.shows("one", "two")
        assert page.value(ERRORS, error_type="http_status") == 0
        times = [asked.at for asked in site.api.requests]
        assert max(after - before for before, after in pairwise(times)) >= 4.0
        steady(page)


def test_K8S5_whatever_is_too_old_is_listed_again_and_nothing_is_lost(scene: Scene, site: Site) -> None:
    site.put(*(f"bulk-{number:03}" for number in range(550)), enabled=False)
    site.start("one", "two", interval="60s")

    def whole(*names: str) -> None:
        page = site.shows(*names, within=12.0)
        assert page.value("publishing_discovered_secrets", status="valid") == 550 + len(names) + 3
        assert site.invalid() == {}

    with scene.fault():
        site.api.stop()  # at the start of a watch
        site.delete("one")
        site.put("three")
        site.api.forget_history()
        site.api.start()
        whole("three", "two")
        site.api.wait(lambda: site.api.watches == 1)
        site.api.expire_watches()  # within its stream
        site.put("four")
        whole("four", "three", "two")
        site.api.fail(faults.forgets_pages, "list", times=4)  # between two pages, twice
        site.put("five")
        assert site.refresh() == 202
        whole("five", "four", "three", "two")


def test_K8S5_versions_that_are_too_old_again_and_again_are_not_a_hot_loop(scene: Scene, site: Site) -> None:
    site.start("one", interval="60s", backoff="1s", backoff_max="30s")
    with scene.fault():
        began = time.monotonic()
        site.api.fail(faults.refuses(410), "watch")
        site.api.drop_watches()
        site.put("two")
        site.shows("one", "two")
        time.sleep(max(0.0, began + 6.0 - time.monotonic()))
        site.calm(began, 6.0)
        site.api.heal()
        assert site.refresh() == 202
        site.api.wait(lambda: site.api.watches == 1)


def test_K8S6_a_watch_that_ends_at_once_does_not_make_it_spin(scene: Scene, site: Site) -> None:
    site.start("one", interval="60s")
    with scene.fault():
        site.api.fail(faults.ends_at_once, "watch")
        began = time.monotonic()
        site.api.end_watches()
        time.sleep(6.0)
        # Pauses of 1, 2 and 4 s, each up to half shorter; in 60 s there would be eight.
        assert 2 <= len([asked for asked in site.api.requests if asked.at >= began]) <= 5
        site.put("two")
        assert site.refresh() == 202
        steady(site.shows("one", "two"))
        site.api.heal()


def test_K8S7_behind_a_connection_that_is_open_and_silent_changes_are_seen_at_the_next_list(
    scene: Scene, site: Site
) -> None:
    site.start("one")
    with scene.fault():
        site.api.half_open()
        site.put("two")
        page = site.fails("timeout")
        assert probed(page) == ["one"]
        assert page.value("publishing_health_status", target="one") == 1
        site.api.heal()
        site.shows("one", "two")
        site.put("three")
        site.shows("one", "three", "two", within=3.0)  # there is a watch again
    steady(scene.daemon.page())


def test_K8S8_what_was_deleted_while_nobody_watched_goes_with_all_its_series(scene: Scene, site: Site) -> None:
    site.start("one", "two")
    with scene.fault():
        site.api.stop()
        site.delete("one")
        page = site.fails("connect")
        assert probed(page) == ["one", "two"]
        site.api.start()
        site.shows("two")
        until(lambda: 'target="one"' not in scene.daemon.page().text, 3.0, "no series of the target is left")
    steady(scene.daemon.page())


def test_K8S17_a_kubeconfig_of_no_use_is_told_and_read_again_when_it_is_mended(scene: Scene, site: Site) -> None:
    site.put("one")
    good = site.kubeconfig.read_text()
    site.kubeconfig.write_text(f"users: [{{token: {CANARIES['bearer']}")
    scene.start(site.config())
    # The first connection there is brings the loop's own threads, which stay.
    with scene.fault(but_for=["X6: threads"]):
        page = site.fails("config")
        assert probed(page) == []
        source = site.source()
        assert source["reason"] == "config"
        assert source["error"].startswith(f"the kubeconfig {site.kubeconfig} cannot be read")
        site.kubeconfig.unlink()
        until(lambda: site.source()["error"] == f"the kubeconfig {site.kubeconfig} is not there", 5.0, "it is missed")
        rotated(site.kubeconfig, good)
        steady(site.shows("one"))


def test_K8S17_outside_of_a_cluster_and_without_a_kubeconfig_it_says_so(scene: Scene, site: Site) -> None:
    scene.start(site.config(cluster={"kubeconfig": None}))
    with scene.fault():
        site.fails("config")
        assert site.source()["error"] == "there is neither a service account nor a kubeconfig"


def test_K8S17_an_authority_that_changed_is_read_again(scene: Scene) -> None:
    old, new = (Authority(folder(scene, name)) for name in ("old", "new"))
    site = Site(scene, tls=True)
    authority = scene.folder / "authority.pem"
    authority.write_text(old.file.read_text())
    site.api.entry(authority=authority).with_token(site.kubeconfig, CANARIES["bearer"])
    try:
        site.present(old)
        site.start("one")
        with scene.fault():
            site.present(new)
            site.put("two")
            page = site.fails("tls")
            assert "certificate" in site.source()["error"]
            assert probed(page) == ["one"]
            rotated(authority, new.file.read_text())
            site.shows("one", "two")
    finally:
        site.close()


def folder(scene: Scene, name: str) -> Path:
    made = scene.folder / name
    made.mkdir()
    return made
