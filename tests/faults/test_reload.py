"""Reloads: of bad files, in storms, at bad moments; and files that change in all the ways files do."""

from __future__ import annotations

import shutil
import signal
import threading
import time

import pytest

from tests.faults.canary import CANARIES
from tests.faults.page import Page
from tests.faults.scene import Config, Scene

pytestmark = pytest.mark.slow

RELOADED = "platform_exporter_config_last_reload_successful"
RELOADED_AT = "platform_exporter_config_last_reload_success_timestamp_seconds"
BAD = f'log: {{level: loud}}\ntargets:\n  static: [{{name: ops, type: slack, url: "{CANARIES["mistake"]}"}}]\n'
WATCHED_WITHIN = 6.0  # the files are looked at every two seconds


def told(scene: Scene, good: bool, within: float = 3.0) -> Page:
    """The first page that says how the last reload went."""
    return scene.page_with(lambda page: page.value(RELOADED) == good, within, f"{RELOADED} {good:d}")


def changed(config: Config, number: int) -> Config:
    """The same configuration but for one key, which starts no collector anew."""
    return config | {"limits": {"label_value_bytes": 1000 + number}}


def test_CFG9_a_bad_reload_over_http_says_what_is_wrong_and_changes_nothing(scene: Scene) -> None:
    config = scene.config("one")
    daemon = scene.start(config)
    with scene.fault() as seen:
        scene.write(BAD)
        for query in ("?dry_run=1", ""):
            answer = daemon.reload(query)
            assert answer.status == 400
            assert [problem in answer.text for problem in ("log.level", "targets.static[0].url")] == [True, True]
        page = told(scene, False)
        assert page.value(RELOADED_AT) == seen.before.value(RELOADED_AT)
        page = scene.cycles(3)
        assert page.belonging_to("one")
        assert page.value("publishing_health_status", target="good") == 1
        scene.write(config)
        answer = daemon.reload()
        assert (answer.status, answer.json()) == (200, {"changes": [], "applied": True})
        assert told(scene, True).value(RELOADED_AT) > seen.before.value(RELOADED_AT)


def bad_reload_by_signal(scene: Scene) -> None:
    config = scene.config("one")
    daemon = scene.start(config)
    with scene.fault() as seen:
        for content in (BAD, "", "'", "[" * 5000):
            scene.write(content)
            daemon.send(signal.SIGHUP)
            page = told(scene, False)
            assert page.value(RELOADED_AT) == seen.before.value(RELOADED_AT)
            assert scene.cycles(1).belonging_to("one")
        scene.write(config)
        daemon.send(signal.SIGHUP)
        assert told(scene, True).value(RELOADED_AT) > seen.before.value(RELOADED_AT)
    lines = daemon.log_lines("level=error", "the last good one stays", start=seen.log_start)
    assert any(":1:14: log.level: " in line for line in lines)


def test_PROC3_a_hangup_with_a_bad_configuration_changes_nothing(scene: Scene) -> None:
    bad_reload_by_signal(scene)


def test_CFG9_a_reload_of_a_file_that_is_gone_changes_nothing(scene: Scene) -> None:
    config = scene.config("one")
    daemon = scene.start(config)
    with scene.fault():
        scene.file.unlink()
        answer = daemon.reload()
        assert answer.status == 400
        assert "no such file" in answer.text
        assert told(scene, False)
        assert scene.cycles(2).belonging_to("one")
        scene.write(config)
        assert daemon.reload().status == 200


def test_CFG10_fifty_reloads_in_a_second_coalesce_and_double_nothing(scene: Scene) -> None:
    config = scene.config("one")
    daemon = scene.start(config)
    statuses: list[int] = []
    with scene.fault() as seen:
        asking = [threading.Thread(target=lambda: statuses.append(daemon.reload().status)) for _ in range(25)]
        for at, thread in enumerate(asking):
            if at % 5 == 0:
                scene.replace(changed(config, at + 1))
            thread.start()
            daemon.send(signal.SIGHUP)
        for thread in asking:
            thread.join(10.0)
        begin = scene.cycles(1)
        runs = scene.runs("one")
        time.sleep(3.0)
        end = scene.daemon.page()
        cycles = end.own("collection_duration_seconds_count") - begin.own("collection_duration_seconds_count")
        assert 5 <= cycles <= 7
        assert 5 <= scene.runs("one") - runs <= 7
        assert 1 <= len(daemon.log_lines("configuration reloaded", start=seen.log_start)) < 35
    assert statuses == [200] * 25
    assert daemon.reload().json() == {"changes": [], "applied": True}


def test_CFG10_a_cycle_under_way_ends_on_the_old_configuration(scene: Scene) -> None:
    config = scene.config("one", "two")
    daemon = scene.start(config)
    with scene.fault(but_for=["X2: two"]):
        scene.mood(one="late:0.35")
        scene.page_with(lambda page: 'item="late"' in page.text, 3.0)
        runs = scene.runs("two")
        while scene.runs("two") == runs:
            time.sleep(0.01)
        # All were started together: `one` is under way.
        config["plugins"].remove("two")
        scene.write(config)
        assert daemon.reload().status == 200
        page = scene.cycles(1)
        assert 'item="late"' in page.text
        assert 'collector="two"' not in page.text
        assert not page.belonging_to("two")
        scene.mood()
        assert not scene.page_with(lambda page: 'item="late"' not in page.text, 3.0).belonging_to("two")


def test_CFG10_a_collector_that_is_removed_or_renamed_takes_all_its_series_along(scene: Scene) -> None:
    config = scene.config("one", "two", "three")
    daemon = scene.start(config)
    with scene.fault({"one": ["timeout", "overrun"]}, but_for=["X2: two", "X2: three"]):
        scene.mood(one="swallow")
        page = scene.cycles(3)
        assert page.own("collector_errors_total", collector="one", reason="overrun")
        config["plugins"] = ["well", "one", "three"]
        scene.write(config)
        assert daemon.reload().status == 200
        assert 'collector="two"' not in daemon.page().text
        config["plugins"] = ["well", "one", "two"]
        scene.write(config)
        assert daemon.reload().status == 200
        page = scene.cycles(2)
        assert 'collector="three"' not in page.text
        assert page.belonging_to("two")
        assert page.total("platform_exporter_collector_outcomes_total", collector="two") <= 4
        scene.mood()


def test_CFG10_what_cannot_change_while_it_runs_is_refused_with_a_message(scene: Scene) -> None:
    config = scene.config()
    daemon = scene.start(config)
    with scene.fault():
        scene.write(changed(config, 2) | {"web": {"listen_addresses": ["127.0.0.1:1"]}})
        answer = daemon.reload()
        assert answer.status == 400
        assert "web.listen_addresses" in answer.text
        assert "restart" in answer.text
        told(scene, False)
        scene.write(config)
        assert daemon.reload().json() == {"changes": [], "applied": True}


def reloaded(scene: Scene, start: int, changed: str) -> None:
    """Waits until the log says that this was taken over."""
    deadline = time.monotonic() + WATCHED_WITHIN
    while not scene.daemon.log_lines("configuration reloaded", changed, start=start):
        assert time.monotonic() < deadline, f"{changed} was not noticed"
        time.sleep(0.05)


def test_CFG11_the_swap_of_a_link_above_the_file_is_noticed(scene: Scene) -> None:
    config = scene.config()
    mount = scene.folder / "mount"
    for at in range(2):
        (mount / f"..{at}").mkdir(parents=True)
        scene.write(changed(config, at))
        for name in ("exporter.yaml", "url_file", "headers_file"):
            shutil.copy(scene.folder / name, mount / f"..{at}" / name)
            if at == 0:
                (mount / name).symlink_to(f"..data/{name}")
    (mount / "..data").symlink_to("..0")
    scene.file = mount / "exporter.yaml"
    scene.start((mount / "..0" / "exporter.yaml").read_text())
    with scene.fault() as seen:
        (mount / "..new").symlink_to("..1")
        (mount / "..new").rename(mount / "..data")
        shutil.rmtree(mount / "..0")
        reloaded(scene, seen.log_start, "changed=limits.label_value_bytes")


def test_CFG11_the_rename_of_an_editor_and_a_new_secret_are_noticed(scene: Scene) -> None:
    config = scene.config()
    daemon = scene.start(config)
    with scene.fault() as seen:
        scene.replace(changed(config, 3))
        reloaded(scene, seen.log_start, "changed=limits.label_value_bytes")
        start = len(daemon.log())
        (scene.folder / "url_file").write_text(scene.receiver.url(f"/{CANARIES['url_file']}/rotated"))
        reloaded(scene, start, "changed=targets")
        scene.cycles(2)
        assert any(f"/{CANARIES['url_file']}/rotated " in head for head in scene.receiver.heads)


def test_CFG11_a_half_written_file_changes_nothing_until_it_is_whole(scene: Scene) -> None:
    config = changed(scene.config("one"), 4)
    scene.start(scene.config("one"))
    with scene.fault() as seen:
        scene.write(config)
        whole = scene.file.read_bytes()
        scene.file.write_bytes(whole[: whole.index(b"targets:") + 40])
        told(scene, False, WATCHED_WITHIN)
        assert scene.cycles(1).belonging_to("one")
        with scene.file.open("wb") as file:
            for at in range(0, len(whole), 100):
                file.write(whole[at : at + 100])
                file.flush()
                time.sleep(0.01)
        told(scene, True, WATCHED_WITHIN)
        reloaded(scene, seen.log_start, "changed=limits.label_value_bytes")
