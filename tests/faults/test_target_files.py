"""Files of targets that change in all the ways files do: what they held stays until they can be read again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.faults.canary import CANARIES
from tests.faults.clusters import probed, rotated, steady
from tests.faults.page import Page
from tests.faults.scene import Scene

pytestmark = pytest.mark.slow

WATCHED_WITHIN = 6.0  # files are looked at every two seconds
REFRESH = {"interval": "60s", "attempts": 1}


def listed(scene: Scene, *names: str) -> str:
    url = scene.receiver.url(f"/{CANARIES['secret_path']}")
    headers = {"X-Key": CANARIES["secret_header"]}
    return yaml.safe_dump([{"name": name, "type": "webhook", "url": url, "headers": headers} for name in names])


def started(scene: Scene, pattern: Path, *names: str) -> Page:
    config = scene.config()
    config["targets"] |= {"files": [str(pattern)], "refresh": REFRESH}
    scene.start(config)
    return shows(scene, *names)


def shows(scene: Scene, *names: str) -> Page:
    what = f"targets {', '.join(names)}"
    return scene.page_with(lambda page: sorted(probed(page)) == sorted(names), WATCHED_WITHIN, what)


def invalid(scene: Scene, number: int) -> Page:
    def told(page: Page) -> bool:
        return page.get("publishing_discovered_secrets", status="invalid") == number

    return scene.page_with(told, WATCHED_WITHIN, f"{number} documents give no target")


def test_CFG10_a_file_of_targets_that_changes_fifty_times_is_read_a_few_times(scene: Scene) -> None:
    file = scene.folder / "targets.yaml"
    file.write_text(listed(scene, "zero"))
    before = started(scene, file, "zero").total("publishing_refresh_total")
    with scene.fault():
        for number in range(50):
            rotated(file, listed(scene, f"target-{number}"))
            if number % 10 == 0:
                assert scene.daemon.reload().status == 200
        page = shows(scene, "target-49")
        assert page.total("publishing_refresh_total") - before <= 4
        steady(page)


def test_CFG11_the_swap_of_a_link_above_a_file_of_targets_is_noticed(scene: Scene) -> None:
    mount = scene.folder / "mount"
    for at in range(2):
        (mount / f"..{at}").mkdir(parents=True)
        (mount / f"..{at}" / "targets.yaml").write_text(listed(scene, f"target-{at}"))
    (mount / "..data").symlink_to("..0")
    (mount / "targets.yaml").symlink_to("..data/targets.yaml")
    started(scene, mount / "*.yaml", "target-0")
    with scene.fault():
        (mount / "..new").symlink_to("..1")
        (mount / "..new").rename(mount / "..data")
        shutil.rmtree(mount / "..0")
        steady(shows(scene, "target-1"))


def test_CFG11_a_file_of_targets_that_comes_goes_or_is_half_written_costs_the_others_nothing(scene: Scene) -> None:
    folder = scene.folder / "targets"
    folder.mkdir()
    (folder / "a.yaml").write_text(listed(scene, "one", "two"))
    started(scene, folder / "*.yaml", "one", "two")
    with scene.fault():
        rotated(folder / "a.yaml", listed(scene, "one", "three"))  # as editors do
        (folder / "b.yaml").write_text(listed(scene, "four"))
        shows(scene, "four", "one", "three")
        whole = listed(scene, "five", "six")
        (folder / "a.yaml").write_text(whole[: whole.index("url") + 2])
        page = invalid(scene, 1)
        assert sorted(probed(page)) == ["four", "one", "three"]
        (folder / "b.yaml").unlink()
        shows(scene, "one", "three")
        (folder / "a.yaml").write_text("")
        page = invalid(scene, 1)
        assert sorted(probed(page)) == ["one", "three"]
        (folder / "a.yaml").write_text(whole)
        shows(scene, "five", "six")
        steady(invalid(scene, 0))
