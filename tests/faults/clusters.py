"""A cluster for the daemon to find its targets in; its Secrets and its token are full of secrets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from tests.fakes.authority import Authority
from tests.fakes.kubernetes.api import KubernetesApi
from tests.faults.canary import CANARIES
from tests.faults.page import Page
from tests.faults.process import until
from tests.faults.scene import Config, Scene

PLACE = "alerts"
LABELS = {"publishing-target": "true"}
STATUS = "publishing_health_status"
ERRORS = "publishing_discovery_errors_total"
REFRESHES = "publishing_refresh_total"
OURS = ("good", "filed", "varied")
TARGETS = "/api/v2/publishing/targets"
# Pauses are short so that tests are; what the daemon's own steps of a watch may take is not in the configuration.
REFRESH = {
    "interval": "2s",
    "timeout": "1s",
    "attempts": 2,
    "backoff": "500ms",
    "backoff_max": "2s",
    "manual_interval": "500ms",
}
WITHIN = 8.0  # seconds: an interval, its attempts, and a cycle


class Site:
    """The cluster, and the daemon that looks into it."""

    def __init__(self, scene: Scene, **server: Any) -> None:
        self.scene = scene
        self.api = KubernetesApi(token=CANARIES["bearer"], **server)
        self.api.namespace(PLACE)
        self.kubeconfig = self.api.kubeconfig(scene.folder / "kubeconfig")

    def close(self) -> None:
        self.api.close()

    def present(self, authority: Authority) -> None:
        """Comes back with a certificate of this authority."""
        self.api.stop()
        self.api.present(authority.issue("api"))
        self.api.start()

    def config(self, *, cluster: Mapping[str, object] | None = None, **refresh: Any) -> Config:
        """What a scene has, and this cluster; targets may be on this machine, as the receiver is."""
        config = self.scene.config()
        config["targets"] |= {
            "kubernetes": {"namespaces": [PLACE], "kubeconfig": str(self.kubeconfig), **(cluster or {})},
            "refresh": REFRESH | refresh,
            "policy": {"allow_networks": ["127.0.0.1/32"]},
        }
        return config

    def start(self, *names: str, config: Config | None = None, **refresh: Any) -> Page:
        """Starts the daemon with these targets in the cluster, and waits until it watches."""
        self.put(*names)
        self.scene.start(config or self.config(**refresh))
        page = self.shows(*names)
        self.api.wait(lambda: self.api.watches > 0)
        return page

    # -- what is in it

    def put(self, *names: str, namespace: str = PLACE, **fields: object) -> None:
        """Secrets of the same names as the targets in them."""
        self.api.put_all([(namespace, name, self.data(name, **fields), LABELS) for name in names])

    def data(self, name: str, **fields: object) -> dict[str, str]:
        document = {
            "name": name,
            "type": "webhook",
            "url": self.scene.receiver.url(f"/{CANARIES['secret_path']}"),
            "format": "webhook",
            "headers": {"Authorization": f"Bearer {CANARIES['secret_header']}"},
        }
        return {"config": json.dumps(document | fields)}

    def delete(self, *names: str) -> None:
        for name in names:
            self.api.delete(PLACE, name)

    # -- what the daemon makes of it

    def shows(self, *names: str, within: float = WITHIN) -> Page:
        """The first page whose series are those of these targets, and of the operator's own."""
        return self.scene.page_with(
            lambda page: sorted(probed(page)) == sorted(names), within, f"targets {', '.join(names)}"
        )

    def fails(self, reason: str, within: float = WITHIN) -> Page:
        """The first page on which an attempt to list has failed for a reason since now."""
        before = self.scene.daemon.page().value(ERRORS, error_type=reason)
        return self.scene.page_with(lambda page: page.value(ERRORS, error_type=reason) > before, within, reason)

    def listed_again(self, within: float = WITHIN) -> Page:
        """The first page of a refresh that began and succeeded after now."""
        began = time.time()

        def fresh() -> bool:
            status = self.status()
            return bool(status["status"] == "success" and status["last_refresh"] >= stamp(began))

        until(fresh, within, "a refresh that succeeds")
        return self.scene.daemon.page()

    def status(self) -> dict[str, Any]:
        return cast(dict[str, Any], self.scene.daemon.get(f"{TARGETS}/status").json())

    def source(self) -> dict[str, Any]:
        """What is told of the cluster as a source of targets."""
        (found,) = (source for source in self.status()["sources"] if source["origin"] == "kubernetes")
        return cast(dict[str, Any], found)

    def invalid(self) -> dict[str, str]:
        """Why documents give no target, by their place."""
        return {each["document"]: each["reason"] for each in self.status()["invalid"]}

    def refresh(self) -> int:
        """Asks for a refresh by hand; the status of the answer."""
        return self.scene.daemon.ask("POST", f"{TARGETS}/refresh").status

    # -- what it asked of the cluster

    def calm(self, since: float, seconds: float = 10.0) -> None:
        """On average nobody asked more than once a second, over any stretch of so many."""
        times = [asked.at for asked in self.api.requests if asked.at >= since]
        most = max((sum(start <= at < start + seconds for at in times) for start in times), default=0)
        assert most <= seconds, f"{most} requests in {seconds} s"


def probed(page: Page) -> list[str]:
    """The targets with series of their own, but for the operator's own."""
    return [name for labels in page.series(STATUS) if (name := dict(labels)["target"]) not in OURS]


def stamp(at: float) -> str:
    """A time as answers write it; such texts are in the order of their times."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{seconds}.{int(at % 1 * 1e6):06}Z"


def steady(page: Page) -> None:
    """Nothing is wrong with any collector."""
    for name in ("discovery", "refresh", "health"):
        assert page.own("collector_up", collector=name) == 1


def rotated(path: Path, text: str) -> None:
    """Replaces a file as a whole."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text)
    fresh.replace(path)


def lasting(seconds: float, check: Callable[[], None]) -> None:
    """Something holds, and goes on holding."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        check()
        time.sleep(0.2)
