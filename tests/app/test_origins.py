"""Targets from everywhere, seen on the page of a daemon in this process: they come, change and go by themselves."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp

from exporter.app.daemon import Daemon
from exporter.app.settings import Flags
from tests.app.test_daemon import BASE, page, running, until
from tests.fakes.kubernetes.api import KubernetesApi
from tests.fakes.kubernetes.faults import refuses
from tests.sources.clusters import LABELS, PLACE
from tests.sources.clusters import config as document

NOWHERE = "http://127.0.0.1:1/s3cr3t"


def listed(*names: str) -> str:
    """A file of targets, which is JSON and therefore YAML."""
    return json.dumps([{"name": name, "type": "webhook", "url": NOWHERE} for name in names])


def shown(*names: str) -> tuple[str, ...]:
    return tuple(f'publishing_health_status{{target="{name}",type="webhook"}}' for name in names)


def cluster(kubeconfig: Path, more: str = "") -> str:
    """The section of a cluster whose targets may be on this machine."""
    return f"kubernetes: {{kubeconfig: '{kubeconfig}'{more}}}, policy: {{allow_networks: [127.0.0.1]}}"


def replace(file: Path, text: str) -> None:
    """As editors save: a new file takes the name of the old one."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(file)


async def status(session: aiohttp.ClientSession) -> Any:
    async with session.get("/api/v2/publishing/targets/status") as answer:
        return await answer.json()


async def test_a_new_file_of_a_pattern_brings_targets_and_its_end_takes_them(tmp_path: Path) -> None:
    """Nothing has to be there at the start."""
    (tmp_path / "targets").mkdir()
    async with running(tmp_path / "c", "targets: {files: [targets/*.yaml]}") as (_, session):
        await until(session, "publishing_refresh_last_success_timestamp_seconds 1")
        (tmp_path / "targets/a.yaml").write_text(listed("a", "b"))
        await until(session, *shown("a", "b"), 'publishing_targets{type="webhook",enabled="true"} 2.0')
        replace(tmp_path / "targets/a.yaml", listed("b"))
        await until(session, *shown("b"), absent='target="a"')
        (tmp_path / "targets/a.yaml").unlink()
        await until(session, 'publishing_targets{type="webhook",enabled="true"} 0.0', absent='target="b"')


async def test_CFG11_the_swap_of_a_mounted_folder_is_noticed(tmp_path: Path) -> None:
    """A ConfigMap changes by one symlink above all of its files."""
    for version, name in (("one", "a"), ("two", "b")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "targets.yaml").write_text(listed(name))
    data = tmp_path / "..data"
    data.symlink_to("one")
    (tmp_path / "targets.yaml").symlink_to("..data/targets.yaml")
    async with running(tmp_path / "c", "targets: {files: [targets.yaml]}") as (_, session):
        await until(session, *shown("a"))
        (tmp_path / "..fresh").symlink_to("two")
        os.replace(tmp_path / "..fresh", data)
        await until(session, *shown("b"), absent='target="a"')


async def test_CFG11_a_half_written_file_costs_nothing_and_recovers(tmp_path: Path) -> None:
    """It is reported meanwhile, with its place."""
    file = tmp_path / "t.yaml"
    file.write_text(listed("a"))
    async with running(tmp_path / "c", "targets: {files: [t.yaml]}") as (_, session):
        await until(session, *shown("a"))
        file.write_text(listed("a", "b")[:-9])
        text = await until(session, 'publishing_discovered_secrets{status="invalid"} 1.0')
        assert 'publishing_discovery_errors_total{error_type="syntax"} 1.0' in text
        assert shown("a")[0] in text
        (invalid,) = (await status(session))["invalid"]
        assert (invalid["document"], invalid["reason"]) == (str(file), "syntax")
        file.write_text("")
        await until(session, 'publishing_discovery_errors_total{error_type="syntax"} 2.0', *shown("a"))
        file.write_text(listed("a", "b"))
        await until(session, *shown("a", "b"), 'publishing_discovered_secrets{status="invalid"} 0.0')


async def test_a_named_file_that_goes_keeps_its_targets(tmp_path: Path) -> None:
    """Only its absence is told: some editors remove before they write."""
    file = tmp_path / "t.yaml"
    file.write_text(listed("a"))
    async with running(tmp_path / "c", "targets: {files: [t.yaml]}") as (_, session):
        await until(session, *shown("a"))
        file.unlink()
        await until(session, 'publishing_discovery_errors_total{error_type="missing"} 1.0', *shown("a"))


async def test_the_secret_file_of_an_entry_is_followed(tmp_path: Path) -> None:
    """It counts from the folder of the list, and its change is a change of the target."""
    folder = tmp_path / "targets"
    folder.mkdir()
    (folder / "t.json").write_text('[{"name": "a", "type": "slack", "url_file": "a.url"}]')
    async with running(tmp_path / "c", "targets: {files: [targets/*.json]}") as (_, session):
        await until(session, 'publishing_discovery_errors_total{error_type="missing"} 1.0')
        (folder / "a.url").write_text(NOWHERE)
        await until(session, 'publishing_health_status{target="a",type="slack"}')
        (folder / "a.url").write_text("http://127.0.0.2:1/s3cr3t")
        async with asyncio.timeout(10):
            while "127.0.0.2" not in await (await session.get("/api/v2/publishing/targets")).text():
                await asyncio.sleep(0.02)


async def test_all_origins_together_without_a_cluster(tmp_path: Path) -> None:
    """The one nearest to the daemon wins a name; nothing secret is on any page."""
    (tmp_path / "t.yaml").write_text(listed("a", "b"))
    (tmp_path / "slack.url").write_text(NOWHERE)
    (tmp_path / "am.yml").write_text(
        "receivers: [{name: team, slack_configs: [{api_url_file: slack.url, channel: x}]}, {name: void}]"
    )
    text = f"""\
targets:
  static: [{{name: a, type: slack, url: "{NOWHERE}"}}]
  files: [t.yaml]
  alertmanager: [{{file: am.yml}}]
"""
    async with running(tmp_path / "c", text) as (_, session):
        found = await until(
            session,
            'publishing_health_status{target="a",type="slack"}',
            'publishing_health_status{target="team/slack/0",type="slack"}',
            *shown("b"),
            'publishing_receiver_integrations{receiver="team"} 1.0',
            'publishing_receiver_integrations{receiver="void"} 0.0',
            'publishing_discovery_errors_total{error_type="duplicate"} 1.0',
            'publishing_refresh_total{status="success"} 1.0',
        )
        pages = [found, *[await (await session.get(path)).text() for path in ("/", "/api/v2/publishing/targets")]]
        assert not [text for text in pages if "s3cr3t" in text]
        assert 'discovery_duration_seconds_count{operation="parse"} 2.0' in found
        (tmp_path / "am.yml").write_text("receivers: [{name: void}]")
        await until(session, 'publishing_receiver_integrations{receiver="void"} 0.0', absent="team")


async def test_a_reload_of_the_origins_keeps_what_is_known_until_there_is_newer(tmp_path: Path) -> None:
    """Targets of the configuration count at once, those of an origin that is gone go at once."""
    file = tmp_path / "c"
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(listed(name))
    async with running(file, "targets: {files: [one.yaml]}") as (daemon, session):
        await until(session, *shown("one"))
        file.write_text(BASE + "targets: {files: [two.yaml]}")
        assert (await daemon.reload()).changes == ("targets.files",)
        await until(session, *shown("two"), absent='target="one"')
        static = f'targets: {{static: [{{name: three, type: webhook, url: "{NOWHERE}"}}]}}'
        file.write_text(BASE + static)
        await daemon.reload()
        assert list(daemon._targets.current()) == ["three"]
        await until(session, *shown("three"), absent='target="two"')


async def test_CFG10_a_storm_of_reloads_leaves_one_of_everything(tmp_path: Path) -> None:
    """Also of the origins: the last configuration is the one that counts."""
    file = tmp_path / "c"
    for number in range(3):
        (tmp_path / f"{number}.yaml").write_text(listed(f"t{number}"))
    async with running(file, "targets: {files: [0.yaml]}") as (daemon, session):
        await until(session, *shown("t0"))
        before = len(asyncio.all_tasks())
        for number in range(50):
            file.write_text(BASE + f"targets: {{files: [{number % 3}.yaml]}}")
            await daemon.reload()
        file.write_text(BASE + "targets: {files: [2.yaml]}")
        await daemon.reload()
        await until(session, *shown("t2"), 'publishing_targets{type="webhook",enabled="true"} 1.0')
        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) > before + 2:
                await asyncio.sleep(0.02)
        assert await page(session)


async def test_a_refresh_by_hand_begins_at_once_and_is_limited(tmp_path: Path) -> None:
    """What is refused says when it may be asked for again."""
    async with running(tmp_path / "c", "") as (_, session):
        await until(session, 'publishing_refresh_total{status="success"} 1.0')
        async with session.post("/api/v2/publishing/targets/refresh") as answer:
            assert answer.status == 202
        async with session.post("/api/v2/publishing/targets/refresh") as answer:
            assert answer.status == 429
            assert 55 < int(answer.headers["Retry-After"]) <= 60
        await until(session, 'publishing_refresh_total{status="success"} 2.0')


async def test_once_refreshes_first(tmp_path: Path) -> None:
    """What it prints is about all targets there are."""
    (tmp_path / "t.yaml").write_text(listed("a"))
    (tmp_path / "c").write_text("targets: {files: [t.yaml]}\n")
    _, body = await Daemon(Flags(config_file=tmp_path / "c"), {}).once()
    assert shown("a")[0] in body.decode()


async def test_the_files_of_targets_are_checked_with_the_configuration(tmp_path: Path) -> None:
    """Each mistake stands with its file and place."""
    (tmp_path / "t.yaml").write_text("- {name: a, type: slak}\n")
    (tmp_path / "u.yaml").write_text("name: a\n")
    (tmp_path / "c").write_text("targets: {files: ['*.yaml']}\n")
    found = [str(problem) for problem in Daemon(Flags(config_file=tmp_path / "c"), {}).problems()]
    assert found == [
        f"{tmp_path}/t.yaml:1:3: [0]: exactly one of url, url_file is needed",
        f"{tmp_path}/t.yaml:1:19: [0].type: expected rootly, pagerduty, slack or webhook; did you mean 'slack'?",
        f"{tmp_path}/u.yaml:1:1: expected a list of targets",
    ]


def test_the_client_of_clusters_is_only_imported_where_there_is_one(tmp_path: Path) -> None:
    """It would cost half a second and forty megabytes."""
    (tmp_path / "t.yaml").write_text(listed("a"))
    (tmp_path / "am.yml").write_text("receivers: [{name: void}]")
    (tmp_path / "c").write_text("targets: {files: [t.yaml], alertmanager: [{file: am.yml}]}\n")
    command = [sys.executable, "-X", "importtime", "-m", "exporter", "once", f"--config.file={tmp_path / 'c'}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert shown("a")[0] in ran.stdout
    imported = [line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")]
    assert "exporter.sources.target_files" in imported
    assert [name for name in imported if "kubernetes" in name] == []


async def test_a_cluster_is_followed_by_its_watch(tmp_path: Path) -> None:
    """Created, changed, disabled and deleted: each is on the page within moments."""
    with KubernetesApi() as api:
        kubeconfig = api.kubeconfig(tmp_path / "kubeconfig", namespace=PLACE)
        api.put(PLACE, "a", document("a", url=NOWHERE), LABELS)
        async with running(tmp_path / "c", f"targets: {{{cluster(kubeconfig)}}}") as (_, session):
            await until(session, *shown("a"))
            api.put(PLACE, "b", document("b", url=NOWHERE), LABELS)
            await until(session, *shown("a", "b"))
            api.put(PLACE, "a", document("a", url=NOWHERE, enabled=False), LABELS)
            await until(session, 'publishing_targets{type="webhook",enabled="false"} 1.0', absent='target="a"')
            api.delete(PLACE, "b")
            await until(session, 'publishing_targets{type="webhook",enabled="true"} 0.0', absent='target="b"')
            assert len(api.requests.of("list")) == 1, "only a refresh lists"
            api.expire_watches()
            api.put(PLACE, "c", document("c", url=NOWHERE), LABELS)
            await until(session, *shown("c"))
            assert len(api.requests.of("list")) == 2


async def test_K8S1_an_absent_cluster_costs_nobody_else_anything(tmp_path: Path) -> None:
    """Other targets are there at once; those of the cluster come when it does, without a restart."""
    with KubernetesApi() as api:
        kubeconfig = api.kubeconfig(tmp_path / "kubeconfig", namespace=PLACE)
        api.put(PLACE, "b", document("b", url=NOWHERE), LABELS)
        api.stop()
        (tmp_path / "t.yaml").write_text(listed("a"))
        text = f"targets: {{files: [t.yaml], {cluster(kubeconfig)}}}"
        async with running(tmp_path / "c", text) as (_, session):
            await until(session, *shown("a"), 'publishing_discovery_errors_total{error_type="connect"} 2.0')
            (tmp_path / "t.yaml").write_text(listed("a", "c"))
            await until(session, *shown("a", "c"))
            api.start()
            await until(session, *shown("a", "b", "c"), 'publishing_refresh_total{status="success"} 1.0')


async def test_K8S3_one_forbidden_namespace_does_not_hide_the_other(tmp_path: Path) -> None:
    """The refresh has failed and says so; what may be listed counts."""
    with KubernetesApi() as api:
        kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
        api.put("open", "a", document("a", url=NOWHERE), LABELS)
        api.fail(refuses(403), "list", namespace="closed")
        text = f"targets: {{{cluster(kubeconfig, ', namespaces: [closed, open]')}}}"
        async with running(tmp_path / "c", text) as (_, session):
            await until(session, *shown("a"), 'publishing_refresh_errors_total{error_type="auth"} 1.0')
            (source,) = [one for one in (await status(session))["sources"] if one["origin"] == "kubernetes"]
            assert source["reason"] == "auth"
            assert source["last_success"] is None
            assert 'platform_exporter_collector_up{collector="discovery"} 1.0' in await page(session)


async def test_a_cluster_of_which_nothing_is_known_makes_discovery_fail(tmp_path: Path) -> None:
    """None found and none known are different things."""
    with KubernetesApi() as api:
        kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
        api.fail(refuses(403))
        text = f"targets: {{{cluster(kubeconfig)}}}"
        async with running(tmp_path / "c", text) as (_, session):
            found = await until(session, 'platform_exporter_collector_up{collector="discovery"} 0.0')
            assert "publishing_targets{" not in found
