"""The server on a thread of its own, with a plain interface for tests, synchronous or not."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.fakes.kubernetes.faults import GONE, Fault, Faults, silent
from tests.fakes.kubernetes.kubeconfig import Entry
from tests.fakes.kubernetes.objects import NAMESPACE, SECRET, Key, Manifest
from tests.fakes.kubernetes.recording import Recording
from tests.fakes.kubernetes.server import Server
from tests.fakes.kubernetes.store import Store
from tests.fakes.kubernetes.watching import Turn
from tests.fakes.kubernetes.writing import merge
from tests.fakes.receiver import Background
from tests.fakes.remote import TLS, server_tls

Data = Mapping[str, str | bytes]


class KubernetesApi:
    """Listens on loopback until closed; it can lose its temper, forget, fall silent, go and come back.

    Faults are those of `faults`: `api.fail(refuses(403), "watch")`, `api.heal()`. All methods may be called from any
    thread, also from within a running event loop: they wait for the server's loop, not for the caller's.
    """

    def __init__(self, *, tls: bool = False, token: str | None = None, history: int = 1000) -> None:
        self.requests = Recording()
        self.port = 0
        self.tls = tls
        self._store = Store(history)
        self._faults = Faults()
        self._server = Server(self._store, self._faults, self.requests)
        self._server.token = token
        self._runner: web.AppRunner | None = None
        self._background = Background()
        self.namespace("default")
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def version(self) -> int:
        """The latest resourceVersion."""
        return self._store.version

    @property
    def watches(self) -> int:
        """How many watches are live."""
        return len(self._server.watches)

    @property
    def token(self) -> str | None:
        """The bearer token that is asked for; none lets everyone in."""
        return self._server.token

    @token.setter
    def token(self, token: str | None) -> None:
        self._server.token = token

    def permit(self, permitted: Iterable[tuple[str, str]] | None) -> None:
        """Allows these (verb, resource) alone; None allows everything."""
        self._server.permitted = None if permitted is None else set(permitted)

    def compress(self, on: bool = True) -> None:
        """Lists go out with gzip to whoever takes it, as large ones do from the real server."""
        self._server.compresses = on

    # What is in it.

    def put(
        self, namespace: str, name: str, data: Data, labels: Mapping[str, str] | None = None, *, encoded: bool = False
    ) -> None:
        """Creates or replaces a Secret; `data` is plain unless it says it is encoded already, however wrongly."""
        self.put_all([(namespace, name, data, labels or {})], encoded=encoded)

    def put_all(self, secrets: Iterable[tuple[str, str, Data, Mapping[str, str]]], *, encoded: bool = False) -> None:
        """The same for many, each a (namespace, name, data, labels), in one go."""
        made = [
            (Key(SECRET.resource, namespace, name), secret_manifest(data, labels, encoded=encoded))
            for namespace, name, data, labels in secrets
        ]

        async def work() -> None:
            for key, manifest in made:
                self._enter(key.namespace)
                self._store.put(key, manifest)

        self._background.run(work())

    def patch(
        self, namespace: str, name: str, data: Data | None = None, labels: Mapping[str, str | None] | None = None
    ) -> None:
        """Merges into a Secret that is there; a label that is None goes."""

        async def work() -> None:
            key = Key(SECRET.resource, namespace, name)
            stored = self._store.get(key)
            assert stored is not None, f"no Secret {namespace}/{name}"
            change = {"metadata": {"labels": dict(labels or {})}, "data": _base64(data or {})}
            self._store.put(key, merge(stored.manifest, change))

        self._background.run(work())

    def delete(self, namespace: str, name: str) -> None:
        self._delete(Key(SECRET.resource, namespace, name))

    def namespace(self, name: str) -> None:
        """Creates a namespace; putting a Secret into it does so too."""

        async def work() -> None:
            self._enter(name)

        self._background.run(work())

    def delete_namespace(self, name: str) -> None:
        """Removes a namespace with all that is in it."""
        self._delete(Key(NAMESPACE.resource, "", name))

    # What may happen to it.

    def fail(self, fault: Fault, *verbs: str, namespace: str | None = None, times: int | None = None) -> None:
        """Switches a fault on, for some verbs (all without any), one namespace, so many times."""
        self._faults.fail(fault, *verbs, namespace=namespace, times=times)

    def heal(self) -> None:
        """Switches all faults off; what has fallen silent remains so."""
        self._faults.heal()

    def half_open(self) -> None:
        """Live watches fall silent for ever, and new requests are taken but never answered."""
        self.fail(silent)
        self.silence_watches()

    def forget_history(self) -> None:
        """Every version given out so far is too old now, for a watch or a continue token; live watches go on."""
        self._background.run(self._forget())

    def expire_watches(self) -> None:
        """Live watches are told in the stream that their version is too old, and end."""
        self.say(GONE, Turn.ENDS)

    def drop_watches(self) -> None:
        """Hangs up on live watches in the middle of the stream."""
        self.say(Turn.DROPS)

    def end_watches(self) -> None:
        """Live watches end in good order."""
        self.say(Turn.ENDS)

    def silence_watches(self) -> None:
        """Live watches stay open and say nothing more, not even that their time is up."""
        self.say(Turn.FALLS_SILENT)

    def bookmark(self) -> None:
        """Live watches that allow bookmarks are sent one."""
        self._background.run(self._bookmark())

    def say(self, *what: bytes | Turn) -> None:
        """Puts something into all live watches: a line as it is, or what becomes of them."""
        self._background.run(self._say(what))

    # Whether it is there at all.

    def start(self) -> None:
        """Listens, on the same port each time."""
        self._background.run(self._start())

    def stop(self) -> None:
        """Hangs up on everyone and listens no more: whoever comes is refused. What is stored stays."""
        self._background.run(self._stop())

    def close(self) -> None:
        self.stop()
        self._background.close()

    # How one gets at it.

    def entry(self, namespace: str = "default") -> Entry:
        """What a kubeconfig says of it; its methods write one with a token, a token file, a plugin or a certificate."""
        return Entry(self.url, TLS / "ca.pem" if self.tls else None, namespace)

    def kubeconfig(self, path: Path, namespace: str = "default") -> Path:
        """A kubeconfig with the token of this moment, if there is one."""
        return self.entry(namespace).with_token(path, self.token)

    def _enter(self, namespace: str) -> None:
        key = Key(NAMESPACE.resource, "", namespace)
        if self._store.get(key) is None:
            labels = {"kubernetes.io/metadata.name": namespace}
            self._store.put(key, {"metadata": {"labels": labels}, "status": {"phase": "Active"}})

    def _delete(self, key: Key) -> None:
        async def work() -> None:
            assert self._store.delete(key) is not None, f"no such object: {key}"

        self._background.run(work())

    async def _forget(self) -> None:
        self._store.forget()

    async def _bookmark(self) -> None:
        for watch in self._server.watches:
            watch.bookmark()

    async def _say(self, what: tuple[bytes | Turn, ...]) -> None:
        for watch in self._server.watches:
            for each in what:
                watch.say(each)

    async def _start(self) -> None:
        application = web.Application(client_max_size=8 << 20)
        application.router.add_route("*", "/{path:.*}", self._server.handle)
        # A handler that is silent for ever must go with its client.
        runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=_tls() if self.tls else None, backlog=1024)
        await site.start()
        self.port = runner.addresses[0][1]
        self._runner = runner

    async def _stop(self) -> None:
        if self._runner is None:
            return
        for transport in list(self._server.connections):
            transport.abort()
        await self._runner.cleanup()
        self._runner = None


def secret_manifest(data: Data, labels: Mapping[str, str], *, encoded: bool = False) -> Manifest:
    contents = dict(data) if encoded else _base64(data)
    return {"metadata": {"labels": dict(labels)}, "data": contents, "type": "Opaque"}


def _base64(data: Data) -> dict[str, str]:
    return {
        name: base64.b64encode(text.encode() if isinstance(text, str) else text).decode() for name, text in data.items()
    }


def _tls() -> ssl.SSLContext:
    # Whoever shows a certificate of the authority needs no token.
    context = server_tls(client_authority=True)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context
