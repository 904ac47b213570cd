"""Whatever happens to the server in whatever order: once it is well again, what is known is what it has."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.model.errors import Failure
from exporter.sources.kubernetes import Limits
from tests.fakes.kubernetes import faults
from tests.fakes.kubernetes.api import KubernetesApi
from tests.sources.clusters import LABELS, PLACE, Follower, Pauses, cluster_of, config, names

_OTHER = "other"
_NAMES = [f"t{number}" for number in range(12)]
_FAULTS = [
    faults.refuses(410),
    faults.refuses(429),
    faults.refuses(500),
    faults.drops,
    faults.ends_at_once,
    faults.says(faults.MALFORMED),
    faults.says_html(),
]


class _Story:
    """Changes to the server by dice, and what should be known at the end."""

    def __init__(self, api: KubernetesApi, follower: Follower, seed: int) -> None:
        self._api = api
        self._follower = follower
        self._dice = random.Random(seed)
        self._there: dict[str, str] = {}
        self._version = 0
        self._up = True

    @property
    def expected(self) -> list[str]:
        return sorted(f"{name} https://v{version}.example" for name, version in self._there.items() if version)

    @property
    def known(self) -> list[str]:
        return sorted(f"{target.name} {target.shown}" for target in self._follower.latest.targets)

    async def step(self) -> None:
        deeds: list[Callable[[], None]] = [self._put, self._put, self._delete, self._spoil, self._disturb, self._break]
        self._dice.choice(deeds)()
        if self._dice.random() < 0.2:
            await self.list()
        await asyncio.sleep(self._dice.choice([0.0, 0.0, 0.01]))

    async def list(self) -> None:
        try:
            self._follower.latest = await self._follower.cluster.list()
        except Failure:
            return

    def heal(self) -> None:
        self._api.heal()
        self._start()

    def _start(self) -> None:
        if not self._up:
            self._api.start()
        self._up = True

    def _stop(self) -> None:
        self._api.stop()
        self._up = False

    def _place(self, name: str) -> str:
        return PLACE if _NAMES.index(name) % 2 else _OTHER

    def _put(self) -> None:
        name = self._dice.choice(_NAMES)
        self._version += 1
        self._there[name] = str(self._version)
        self._api.put(self._place(name), name, config(name, url=f"https://v{self._version}.example/"), LABELS)

    def _spoil(self) -> None:
        name = self._dice.choice(_NAMES)
        self._there[name] = ""
        self._api.put(self._place(name), name, {"config": "{"}, LABELS)

    def _delete(self) -> None:
        if self._there:
            name = self._dice.choice(sorted(self._there))
            del self._there[name]
            self._api.delete(self._place(name), name)

    def _disturb(self) -> None:
        api = self._api
        self._dice.choice(
            [api.drop_watches, api.end_watches, api.expire_watches, api.forget_history, api.bookmark, self._stop]
        )()

    def _break(self) -> None:
        verbs = self._dice.choice([("watch",), ("list",), ()])
        self._api.fail(self._dice.choice(_FAULTS), *verbs, times=self._dice.randint(1, 3))
        self._start()


@pytest.mark.parametrize("seed", range(8))
async def test_after_any_story_the_targets_are_those_of_the_server(tmp_path: Path, seed: int) -> None:
    with KubernetesApi() as api:
        cluster = cluster_of(
            api.kubeconfig(tmp_path / "kubeconfig"), PLACE, _OTHER, pauses=Pauses(), limits=Limits(timeout=2.0)
        )
        follower = Follower(cluster)
        async with follower.following():
            story = _Story(api, follower, seed)
            for _ in range(60):
                await story.step()
            story.heal()
            await story.list()
            await follower.until(lambda: story.known == story.expected)
            api.put(PLACE, "last", config("last"), LABELS)
            await follower.until(lambda: "last" in names(follower.latest))
        await cluster.close()
