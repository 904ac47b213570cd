"""Files by which a client finds the server and proves who it is."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Entry:
    """One server in a kubeconfig. A token file is read anew by clients, so that writing to it rotates the token."""

    url: str
    authority: Path | None
    namespace: str

    def with_token(self, path: Path, token: str | None) -> Path:
        return self._write(path, {} if token is None else {"token": token})

    def with_token_file(self, path: Path, token_file: Path) -> Path:
        return self._write(path, {"tokenFile": str(token_file)})

    def with_plugin(self, path: Path, token_file: Path) -> Path:
        """A program gives the token: what it says is made up anew from the token file each time."""
        version = "client.authentication.k8s.io/v1"
        says = '{"apiVersion":"%s","kind":"ExecCredential","status":{"token":"%%s"}}'
        plugin = path.with_suffix(".plugin")
        plugin.write_text(f"#!/bin/sh\nprintf '{says % version}' \"$(cat {shlex.quote(str(token_file))})\"\n")
        plugin.chmod(0o755)
        form = {"apiVersion": version, "command": str(plugin), "interactiveMode": "Never"}
        return self._write(path, {"exec": form})

    def with_certificate(self, path: Path, pair: Path) -> Path:
        """One file holds the certificate and its key."""
        return self._write(path, {"client-certificate": str(pair), "client-key": str(pair)})

    def service_account(self, folder: Path, token: str) -> dict[str, str]:
        """The files a pod finds in its own folder; returns the environment it finds them with."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "token").write_text(token)
        (folder / "namespace").write_text(self.namespace)
        if self.authority is not None:
            (folder / "ca.crt").write_text(self.authority.read_text())
        host, _, port = self.url.partition("://")[2].partition(":")
        return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}

    def _write(self, path: Path, user: dict[str, Any]) -> Path:
        cluster = {"server": self.url} | ({"certificate-authority": str(self.authority)} if self.authority else {})
        context = {"cluster": "fake", "user": "test", "namespace": self.namespace}
        whole = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "fake", "context": context}],
        }
        path.write_text(yaml.safe_dump(whole))
        return path
