"""A cluster with three hundred Secrets, seen through the daemon."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import aiohttp
import pytest

from tests.app.test_daemon import page, running, until
from tests.fakes.kubernetes.api import KubernetesApi
from tests.publishing.broken_secrets import BROKEN, CANARY, LABELS, encoded
from tests.sources.clusters import PLACE

URL = f"https://hooks.invalid/{CANARY}"
TOKEN = f"Bearer {CANARY}"


def sound(number: int) -> Mapping[str, str]:
    """One of the four layouts by turns, each with something secret in it."""
    name = f"target-{number}"
    document = {"name": name, "type": "webhook", "url": URL, "headers": {"Authorization": TOKEN}}
    layouts: list[dict[str, str]] = [
        {"config": json.dumps(document)},
        {"target.json": json.dumps(document)},
        {"name": name, "type": "webhook", "url": URL, "auth_token": CANARY},
        {"target-name": name, "webhook-url": URL, "format": "webhook", "token": CANARY},
    ]
    return encoded(layouts[number % 4])


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with KubernetesApi() as made:
        made.put_all([(PLACE, f"s{number}", sound(number), LABELS) for number in range(280)], encoded=True)
        made.put_all([(PLACE, broken.name, broken.data, LABELS) for broken in BROKEN], encoded=True)
        yield made


async def outputs(session: aiohttp.ClientSession) -> list[str]:
    """Every page there is."""
    group = "/api/v2/publishing/targets"
    paths = ["/", "/metrics", "/sd/targets", group, f"{group}/status", f"{group}/health", f"{group}/target-1"]
    return [await (await session.get(path)).text() for path in paths]


async def test_sound_secrets_are_targets_and_broken_ones_are_told_by_name(
    api: KubernetesApi, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In four layouts and twenty ways to be wrong; no value of any Secret is in any output."""
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig", namespace=PLACE)
    text = f"targets: {{kubernetes: {{kubeconfig: '{kubeconfig}'}}}}\nlog: {{level: debug}}"
    async with running(tmp_path / "c", text) as (_, session):
        await until(
            session,
            'publishing_targets{type="webhook",enabled="true"} 280.0',
            'publishing_discovered_secrets{status="valid"} 280.0',
            'publishing_discovered_secrets{status="invalid"} 20.0',
            'health_status{target="target-279"',
        )
        async with session.get("/api/v2/publishing/targets/status") as answer:
            told = {invalid["document"]: invalid["reason"] for invalid in (await answer.json())["invalid"]}
        assert told == {f"{PLACE}/{broken.name}": broken.flaw for broken in BROKEN}
        assert [text for text in await outputs(session) if CANARY in text] == []
    assert CANARY not in "".join(capfd.readouterr())


async def test_a_change_is_on_the_page_within_two_seconds(api: KubernetesApi, tmp_path: Path) -> None:
    """Created, disabled and deleted, while the watch lives."""
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig", namespace=PLACE)
    async with running(tmp_path / "c", f"targets: {{kubernetes: {{kubeconfig: '{kubeconfig}'}}}}") as (_, session):
        await until(
            session, 'publishing_targets{type="webhook",enabled="true"} 280.0', 'health_status{target="target-1"'
        )
        begin = time.monotonic()
        api.put(PLACE, "s1000", sound(1000), LABELS, encoded=True)
        await until(session, 'health_status{target="target-1000"')
        api.patch(
            PLACE,
            "s1000",
            {"config": json.dumps({"name": "target-1000", "type": "webhook", "url": URL, "enabled": False})},
        )
        await until(session, absent='health_status{target="target-1000"')
        api.delete(PLACE, "s1")
        await until(session, absent='health_status{target="target-1"')
        assert time.monotonic() - begin < 6.0
        assert CANARY not in await page(session)
