"""Canaries of the daemon: begun, kept and ended with the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.app.daemon import Daemon
from exporter.app.settings import Flags
from exporter.config.loader import ConfigError
from exporter.web.canary import PATH
from tests.app.test_daemon import BASE, page, running, until
from tests.fakes.remote import answer, serve

TOKEN = "the-token-of-the-canary"
SENT = 'publishing_canary_sent_total{upstream="am"} '


def service(url: str, canary: str) -> str:
    return f"publishing_services: [{{name: am, url: '{url}', dialect: alertmanager, canary: {canary}}}]"


def canary(interval: str, more: str = "") -> str:
    return f"{{token: {TOKEN}, interval: {interval}{more}}}"


async def test_a_reload_begins_keeps_and_ends_them(tmp_path: Path) -> None:
    file = tmp_path / "c"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        serve(answer(200)) as remote,
        running(file, service(url := remote.url("/metrics"), "null")) as (daemon, session),
    ):

        async def configured(text: str) -> None:
            file.write_text(BASE + text)
            assert not (await daemon.reload()).problems

        async with session.post(PATH, json={"alerts": []}, headers=headers) as refused:
            assert refused.status == 404
        assert "canary_sent_total" not in await page(session)
        await configured(service(url, canary("1s")))
        await until(session, f"{SENT}1.0")
        async with session.post(PATH, json={"alerts": []}, headers=headers) as taken:
            assert (taken.status, await taken.json()) == (200, {"received": 0})
        await configured(service(url, canary("1h")))
        text = await until(session, SENT)
        assert f"{SENT}0.0" not in text
        await configured("")
        await until(session, absent="canary_sent_total")
        async with session.post(PATH, json={"alerts": []}, headers=headers) as gone:
            assert gone.status == 404


async def test_one_round_of_everything_sends_none(tmp_path: Path) -> None:
    async with serve(answer(200)) as remote:
        (tmp_path / "c").write_text(service(remote.url("/metrics"), canary("1s")) + "\nhistory: {path: null}\n")
        _, body = await Daemon(Flags(config_file=tmp_path / "c"), {}).once()
    assert [head.partition(" ")[0] for head in remote.heads] == ["GET"]
    assert b"canary_sent_total" not in body


async def test_where_to_send_them_has_to_be_known(tmp_path: Path) -> None:
    (tmp_path / "c").write_text(service("http://am/c4n4ry", canary("1m")))
    with pytest.raises(ConfigError) as caught:
        Daemon(Flags(config_file=tmp_path / "c"), {})
    (problem,) = caught.value.problems
    assert problem.path == "publishing_services[0].canary"
    assert "c4n4ry" not in str(problem)
