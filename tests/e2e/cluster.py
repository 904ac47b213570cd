"""The real daemon, started to find its targets in a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import yaml

from tests.e2e.test_prometheus import COVERAGE
from tests.fakes.receiver import Receiver
from tests.faults.page import Page
from tests.faults.process import Daemon, python_path, until

LABELS = {"publishing-target": "true"}
TARGETS = "/api/v2/publishing/targets"
TOKEN = "t0k3n-0f-th3-cl1ent"
REFRESH = {"interval": "5m", "attempts": 5, "backoff": "1s", "backoff_max": "30s", "manual_interval": "2s"}


@contextmanager
def finding(folder: Path, kubeconfig: Path, *namespaces: str, every: str = "500ms", **targets: Any) -> Iterator[Daemon]:
    """A daemon that looks into these namespaces; at its end it has ended well, by the process it began with."""
    kubernetes = {"namespaces": list(namespaces), "kubeconfig": str(kubeconfig)}
    policy = {"allow_networks": ["127.0.0.1/32"]}
    config = {
        "cycle": {"interval": "500ms", "timeout": "400ms"},
        "targets": {"kubernetes": kubernetes, "refresh": REFRESH, "policy": policy} | targets,
        "collectors": {"health": {"interval": every, "timeout": "400ms", "probe_timeout": "300ms"}},
        "web": {"listen_addresses": ["127.0.0.1:0"], "enable_lifecycle": True},
        "log": {"level": "debug"},
    }
    file = folder / "exporter.yaml"
    file.write_text(yaml.safe_dump(config))
    daemon = Daemon(folder, {**COVERAGE, "PYTHONPATH": python_path()}, [f"--config.file={file}"])
    try:
        daemon.wait_ready()
        yield daemon
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def document(receiver: Receiver, name: str, **fields: object) -> dict[str, str]:
    """The data of a Secret that is a target."""
    fields = {"name": name, "type": "webhook", "url": receiver.url(f"/{name}")} | fields
    return {"config": json.dumps(fields)}


def status(daemon: Daemon) -> Mapping[str, Any]:
    """What is told of sources, refreshes and flaws."""
    return cast(Mapping[str, Any], daemon.get(f"{TARGETS}/status").json())


def page_with(daemon: Daemon, text: str, seconds: float, there: bool = True) -> Page:
    """The first page on which a text stands, or does not any more."""
    until(lambda: (text in daemon.page().text) is there, seconds, f"{text}: {there}")
    return daemon.page()
