"""A canary flies through a real Alertmanager, by the configuration that is shipped for it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.app.test_daemon import page, running
from tests.e2e.test_alertmanager import alertmanager
from tests.faults.process import free_port
from tests.programs import program

SNIPPET = Path(__file__).parents[2] / "deploy" / "alertmanager" / "canary.yml"
TOKEN = "the-token-of-the-canary"


def test_amtool_finds_nothing_wrong_with_the_shipped_snippet() -> None:
    done = subprocess.run([program("amtool"), "check-config", str(SNIPPET)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 receivers" in done.stdout


def shipped(folder: Path, daemon: str) -> Any:
    """The snippet, with the daemon and the token where they are here."""
    (folder / "canary.token").write_text(f"{TOKEN}\n")
    config = yaml.safe_load(SNIPPET.read_text())
    webhook = config["receivers"][1]["webhook_configs"][0]
    webhook["url"] = webhook["url"].replace("http://platform-exporter:9847", f"http://{daemon}")
    webhook["http_config"]["authorization"]["credentials_file"] = str(folder / "canary.token")
    return config


def value(text: str, series: str) -> float:
    found = [line for line in text.splitlines() if line.startswith(f'publishing_canary_{series}{{upstream="am"}} ')]
    return float(found[0].rpartition(" ")[2]) if found else -1.0


async def until(session: aiohttp.ClientSession, series: str, least: float) -> str:
    async with asyncio.timeout(20):
        while value(text := await page(session), series) < least:
            await asyncio.sleep(0.05)
    return text


async def test_it_comes_back_and_once_alertmanager_has_stopped_it_is_lost(tmp_path: Path) -> None:
    daemon = f"127.0.0.1:{free_port()}"
    async with alertmanager(tmp_path, shipped(tmp_path, daemon)) as (url, process):
        canary = "{token_file: canary.token, interval: 2s, timeout: 1500ms}"
        text = f"publishing_services: [{{name: am, url: '{url}/metrics', dialect: alertmanager, canary: {canary}}}]"
        base = f"cycle: {{interval: 500ms, timeout: 400ms}}\nweb: {{listen_addresses: ['{daemon}']}}\n"
        async with running(tmp_path / "c", text, base) as (_, session):
            back = await until(session, "roundtrip_seconds_count", 1.0)
            assert value(back, "lost_total") == 0.0
            assert 0.0 < value(back, "roundtrip_seconds_sum") < 1.5 * value(back, "roundtrip_seconds_count")
            assert value(back, "last_received_timestamp_seconds") > 1.7e9
            process.terminate()
            process.wait(10)
            gone = await until(session, "lost_total", 1.0)
            assert value(gone, "sent_total") >= value(gone, "lost_total") + value(gone, "roundtrip_seconds_count")
            assert 'platform_exporter_collector_up{collector="publishers"} 1' in gone
