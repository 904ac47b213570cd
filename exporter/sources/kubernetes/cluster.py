"""A cluster as an origin of targets: the list is the truth, the watch makes it fast."""

from __future__ import annotations

import asyncio
import base64
import binascii
import random
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from exporter.model.collector import Clock
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.publishing.listing import Listing
from exporter.publishing.payload import Parse
from exporter.publishing.policy import AddressPolicy
from exporter.sources.backoff import Steps
from exporter.sources.kubernetes.client import Gone, Limits, Question, Server
from exporter.sources.kubernetes.objects import Outcome, Page, Place, SecretObject, decode, listing
from exporter.sources.kubernetes.watching import Stream, Watcher, Watching
from exporter.sources.origins import Incomplete

_TRIES = 3  # of a list whose pages expire while it is read
_TURN = 100  # Secrets, parsed before others have theirs


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Where Secrets are looked for, and which. Without a kubeconfig the pod's own account is used."""

    namespaces: tuple[str, ...]
    label_selector: str = "publishing-target=true"
    kubeconfig: Path | None = None


class Cluster:
    """The Secrets of some namespaces: an origin of targets.

    `parse` reads documents that are not JSON; `sleep` and `chance` are parameters so that tests need not wait.
    """

    name = kind = "kubernetes"
    watched: Collection[Path] = ()

    def __init__(
        self,
        options: ClusterOptions,
        policy: AddressPolicy,
        clock: Clock,
        *,
        parse: Parse | None = None,
        limits: Limits | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._options = options
        self._limits = limits or Limits()
        self._server = Server(options.kubeconfig, clock)
        self._places = [Place(namespace, policy, parse) for namespace in dict.fromkeys(options.namespaces)]
        # Each namespace has a watch of its own: together they must not ask more often than one would.
        first = float(max(1, len(self._places)))
        watching = Watching(options.label_selector, self._limits, sleep, chance)
        self._watchers = [
            Watcher(place, self._server, clock, Steps(first, chance=chance), watching) for place in self._places
        ]

    @property
    def pause(self) -> float:
        """The seconds the API server still wants to be left alone."""
        return self._server.pause

    async def list(self) -> Listing:
        """One full list. A namespace that may not be listed does not cost the others their news, but is a failure."""
        forbidden: Failure | None = None
        for place in self._places:
            try:
                with place.listed():
                    await self._list(place)
            except Failure as failure:
                if failure.reason is not Reason.AUTH:
                    raise
                forbidden = forbidden or failure
        if forbidden is not None:
            if not any(place.current.is_set() for place in self._places):
                raise forbidden
            raise Incomplete(forbidden.reason, forbidden.detail, listing(self._places))
        return listing(self._places)

    async def watch(self, changed: Callable[[Listing], None], stale: Callable[[], None]) -> None:
        """Until cancelled, tells `changed` what there is after each change since the last list.

        `stale` means that a new list is needed; the watch waits for it.
        """

        def tell() -> None:
            changed(listing(self._places))

        async with asyncio.TaskGroup() as tasks:
            for watcher in self._watchers:
                tasks.create_task(watcher.run(tell, stale))
            await asyncio.Event().wait()

    async def secret(self, namespace: str, name: str, key: str) -> bytes:
        """One value of one Secret."""
        question = self._question("get", namespace, name=name)
        data = decode(await self._read(question), SecretObject).data or {}
        if key not in data:
            raise Failure(Reason.CONFIG, f"the Secret {namespace}/{name} has no {key}")
        try:
            return base64.b64decode(data[key], validate=True)
        except (binascii.Error, ValueError):
            pass
        raise Failure(Reason.DECODE, f"{key} of the Secret {namespace}/{name} is not base64")

    async def close(self) -> None:
        """Ends all connections."""
        await self._server.close()

    async def _list(self, place: Place) -> None:
        for _ in range(_TRIES):
            try:
                return await self._pages(place)
            except Gone as gone:
                expired = gone
        raise Failure(expired.reason, f"the list of the namespace {place.namespace} expires before its end")

    async def _pages(self, place: Place) -> None:
        known: dict[str, tuple[str, Outcome]] = {}
        version, token, size, left = "", "", self._limits.page, self._limits.total
        while not version or token:
            try:
                body = await self._read(self._page(place, size, token))
            except Failure as failure:
                if failure.reason is not Reason.TOO_LARGE or size == 1:
                    raise
                size = max(1, size // 8)  # large Secrets come in smaller pages
                continue
            left -= len(body)
            if left < 0:
                raise Failure(Reason.TOO_LARGE, f"the list is larger than {self._limits.total} bytes")
            page = decode(body, Page)
            del body
            for number, secret in enumerate(page.items or ()):
                known[secret.metadata.name] = place.read(secret)
                if number % _TURN == _TURN - 1:
                    await asyncio.sleep(0)
            version, token = version or page.metadata.resource_version, page.metadata.continue_ or ""
        place.replace(known, version)

    def _page(self, place: Place, size: int, token: str) -> Question:
        params = {"labelSelector": self._options.label_selector, "limit": str(size), "continue": token}
        return self._question("list", place.namespace, params={key: text for key, text in params.items() if text})

    def _question(self, verb: str, namespace: str, name: str = "", params: dict[str, str] | None = None) -> Question:
        return Question(
            verb=verb,
            namespace=namespace,
            name=name,
            params=params or {},
            total=self._limits.timeout,
            silence=self._limits.silence,
        )

    async def _read(self, question: Question) -> bytearray:
        return await self._server.ask(question, self._whole)

    async def _whole(self, stream: Stream) -> bytearray:
        body = bytearray()
        async for piece in stream.iter_any():
            body += piece
            if len(body) > self._limits.body:
                raise Failure(Reason.TOO_LARGE, f"the answer is larger than {self._limits.body} bytes")
        return body
