"""A real cluster in place of the fake, where KUBECONFIG_TEST points to one; things are put into it with kubectl."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.fakes.kubernetes.api import Data, KubernetesApi, secret_manifest
from tests.programs import program


class Ordinary(Protocol):
    """What a test may do to a cluster of either sort."""

    def put(self, namespace: str, name: str, data: Data, labels: Mapping[str, str] | None = None) -> None: ...

    def patch(
        self, namespace: str, name: str, data: Data | None = None, labels: Mapping[str, str | None] | None = None
    ) -> None: ...

    def delete(self, namespace: str, name: str) -> None: ...


@dataclass(frozen=True)
class Place:
    """A cluster, how to get at it, and a namespace that is the test's own."""

    api: Ordinary
    kubeconfig: Path
    namespace: str


class Kubectl:
    """The same as the fake's own methods, for any cluster."""

    def __init__(self, kubeconfig: Path, cache: Path) -> None:
        self._program = program("kubectl")
        self._cache = cache
        self.environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}

    def command(self, *arguments: str) -> list[str]:
        """What it remembers of one server, by address, is not true of the next one on that port."""
        return [self._program, f"--cache-dir={self._cache}", *arguments]

    def run(self, *arguments: str, text: str = "") -> str:
        """What it prints; fails with what it complains of."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment, input=text, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, manifest: dict[str, Any]) -> None:
        self.run("apply", "--validate=false", "-f", "-", text=json.dumps(manifest))

    def put(self, namespace: str, name: str, data: Data, labels: Mapping[str, str] | None = None) -> None:
        manifest = secret_manifest(data, labels or {})
        manifest["metadata"] |= {"name": name, "namespace": namespace}
        self.apply(manifest | {"apiVersion": "v1", "kind": "Secret"})

    def patch(
        self, namespace: str, name: str, data: Data | None = None, labels: Mapping[str, str | None] | None = None
    ) -> None:
        change = secret_manifest(data or {}, {}) | {"metadata": {"labels": dict(labels or {})}}
        self.run("patch", "secret", name, "-n", namespace, "--type=merge", "-p", json.dumps(change))

    def delete(self, namespace: str, name: str) -> None:
        self.run("delete", "secret", name, "-n", namespace)


@contextmanager
def real_or_fake(folder: Path) -> Iterator[Place]:
    """A cluster for a test of ordinary behaviour: the one KUBECONFIG_TEST names, or else a fake one."""
    given = os.environ.get("KUBECONFIG_TEST")
    if not given:
        with KubernetesApi(tls=True, token="let-me-in") as api:
            yield Place(api, api.kubeconfig(folder / "kubeconfig"), "default")
        return
    kubectl = Kubectl(Path(given), folder)
    namespace = f"platform-exporter-test-{uuid.uuid4().hex[:8]}"
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    try:
        yield Place(kubectl, Path(given), namespace)
    finally:
        kubectl.run("delete", "namespace", namespace, "--wait=false")
