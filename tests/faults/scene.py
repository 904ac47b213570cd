"""One daemon, what it watches, plugins that can be told to misbehave, and the watch over it all."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.receiver import Background, Receiver
from tests.faults import canary
from tests.faults.canary import CANARIES
from tests.faults.expectations import Observed
from tests.faults.page import Page
from tests.faults.process import Daemon, free_port, python_path, until
from tests.faults.sampler import Sampler
from tests.faults.servers import Prometheus

Config = dict[str, Any]
_HOSTILE = Path(__file__).with_name("hostile.py")
NO_PROBLEMS: Mapping[str, Collection[str]] = {}


class Scene:
    """Made anew for every test; `close` searches everything the daemon ever said for secrets."""

    interval, timeout = 0.5, 0.4

    def __init__(self, folder: Path, background: Background, receiver: Receiver, prometheus: Prometheus | None) -> None:
        self.folder = folder
        self._background = background
        self.receiver = receiver
        self.file = folder / "exporter.yaml"
        self.site = folder / "site"
        self.site.mkdir()
        self._control = folder / "control.json"
        self._prometheus = prometheus
        self.address = f"127.0.0.1:{free_port()}" if prometheus is None else prometheus.address
        self._daemons: list[Daemon] = []
        self._receivers: list[Receiver] = []
        self.mood()
        for name in ("url_file", "headers_file"):
            text = receiver.url(f"/{CANARIES[name]}") if name == "url_file" else f"Bearer {CANARIES[name]}"
            (folder / name).write_text(text + "\n")
        shutil.copy(_HOSTILE, self.site / "hostile.py")

    # -- before the start

    def victim(self) -> Receiver:
        """A receiver that the test may let fail."""
        receiver = Receiver(self._background)
        self._receivers.append(receiver)
        return receiver

    def config(self, *plugins: str) -> Config:
        """A configuration with a secret wherever one fits, a good target, a plugin that behaves, and these."""
        names = ["well", *plugins]
        self.offer({name: f"hostile:{name}" for name in names})
        return {
            "cycle": {"interval": "500ms", "timeout": "400ms"},
            "targets": {"static": self.targets()},
            "collectors": {
                "health": {
                    "interval": "500ms",
                    "timeout": "400ms",
                    "probe_timeout": "300ms",
                    "probe": {"webhook": {"send_headers": True}},
                },
                "well": {"token": CANARIES["option"]},
            },
            "plugins": names,
            "web": {"listen_addresses": [self.address], "enable_lifecycle": True},
            "log": {"level": "debug"},
        }

    def targets(self) -> list[Config]:
        """Good ones, which together hold a secret in every place there is for one."""
        url = self.receiver.url(f"/{CANARIES['path']}?token={CANARIES['query']}")
        variable = self.receiver.url("/?key=${CANARY_VARIABLE}")
        return [
            {"name": "good", "type": "webhook", "url": url, "headers": {"X-Api-Key": CANARIES["header"]}},
            {
                "name": "filed",
                "type": "webhook",
                "url_file": "url_file",
                "headers_file": {"Authorization": "headers_file"},
            },
            {"name": "varied", "type": "webhook", "url": variable, "headers": {"X-Key": "${CANARY_VARIABLE}"}},
        ]

    def offer(self, entries: Mapping[str, str]) -> None:
        """Installs the package of plugins with these entry points."""
        dist = self.site / "hostile-1.0.dist-info"
        dist.mkdir(exist_ok=True)
        lines = [f"{name} = {value}" for name, value in entries.items()]
        (dist / "entry_points.txt").write_text("[platform_exporter.collectors]\n" + "\n".join(lines) + "\n")
        (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n")

    def write(self, config: Config | str | bytes) -> None:
        """Replaces the configuration file."""
        if isinstance(config, dict):
            config = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        self.file.write_bytes(config if isinstance(config, bytes) else config.encode())

    def replace(self, config: Config) -> None:
        """Puts a new file in its place, as editors do: nobody ever sees half of it."""
        real, self.file = self.file, self.folder / "exporter.yaml~"
        self.write(config)
        self.file.replace(real)
        self.file = real

    @property
    def environ(self) -> dict[str, str]:
        return {"PYTHONPATH": python_path(self.site), "HOSTILE_CONTROL": str(self._control), **canary.ENVIRON}

    def spawn(self, *arguments: str) -> Daemon:
        """Starts a process and does not wait for anything."""
        daemon = Daemon(self.folder, self.environ, arguments, f"daemon-{len(self._daemons)}")
        self._daemons.append(daemon)
        return daemon

    def start(self, config: Config | str) -> Daemon:
        """Starts the daemon on this configuration, and waits until it is warm: all it needs for good, it has."""
        self.write(config)
        self.daemon = self.spawn(f"--config.file={self.file}")
        self.daemon.wait_ready()
        for _ in range(2):
            assert self.daemon.reload().status == 200
            self.daemon.get("/")
            for accept in ("*/*", "application/openmetrics-text;version=1.0.0"):
                self.daemon.get("/metrics", Accept=accept, Accept_Encoding="gzip")
                self.daemon.get("/metrics", Accept=accept)
            self.cycles(1)
        return self.daemon

    # -- while it runs

    def mood(self, **moods: str) -> None:
        """Tells the plugins what to do from now on; those not named behave."""
        fresh = self._control.with_suffix(".new")
        fresh.write_text(json.dumps(moods))
        fresh.replace(self._control)

    def runs(self, name: str) -> int:
        """How often a plugin was started."""
        marks = self._control.with_name(f"{name}.runs")
        return marks.stat().st_size if marks.exists() else 0

    def cycles(self, number: int) -> Page:
        """Waits until this many more cycles have ended; returns the page of the last."""
        begin = self.daemon.page().own("collection_duration_seconds_count")
        seconds = number * (self.interval + self.timeout) + 5.0
        return self.page_with(lambda page: page.own("collection_duration_seconds_count") >= begin + number, seconds)

    def page_with(self, condition: Callable[[Page], bool], seconds: float, what: str = "the page") -> Page:
        """The first page that is as wanted."""
        pages: list[Page] = []

        def as_wanted() -> bool:
            pages[:] = [self.daemon.page()]
            return condition(pages[0])

        until(as_wanted, seconds, what)
        return pages[0]

    @contextmanager
    def fault(
        self,
        touched: Mapping[str, Collection[str]] = NO_PROBLEMS,
        *,
        but_for: Sequence[str] = (),
    ) -> Iterator[Observed]:
        """Watches over a fault: it begins and ends inside the block; what must hold is checked behind it.

        `but_for` are the beginnings of breaches that the row itself speaks of.
        """
        seen = Observed(
            daemon=self.daemon,
            touched={name: frozenset(reasons) for name, reasons in touched.items()},
            interval=self.interval,
            timeout=self.timeout,
            but_for=tuple(but_for),
            before=self.daemon.page(),
            vitals_before=self.daemon.vitals(),
            begin=time.time(),
            log_start=len(self.daemon.log()),
            sampler=Sampler(self.daemon),
        )
        seen.sampler.start()
        try:
            yield seen
            seen.end = time.time()
            seen.late_recoveries = list(self._wait_for_recovery(seen))
            self.cycles(2)
            seen.vitals_after = self._settled(seen)
        finally:
            seen.sampler.stop()
        if self._prometheus is not None:
            seen.ups = self._prometheus.ups(seen.begin)
        if breaches := seen.breaches():
            pytest.fail("\n".join(breaches), pytrace=False)

    def _wait_for_recovery(self, seen: Observed) -> Iterator[str]:
        deadline = seen.end + self.interval + 1.0
        page = self.daemon.page()
        while waiting := [name for name in seen.touched if not page.own("collector_up", collector=name)]:
            if time.time() > deadline:
                yield f"X5: {', '.join(waiting)} did not recover within one cycle and a second"
                return
            time.sleep(0.05)
            page = self.daemon.page()

    def _settled(self, seen: Observed) -> Any:
        """What the process holds once it has had a moment to let go: the smallest of each for a second at most."""
        deadline = time.monotonic() + 1.0
        vitals = self.daemon.vitals()
        while vitals.fds > seen.vitals_before.fds and time.monotonic() < deadline:
            time.sleep(0.05)
            vitals = self.daemon.vitals()
        return vitals

    # -- the end

    def close(self) -> None:
        """Searches everything that was said for secrets, and stops the daemon as one does."""
        for receiver in self._receivers:
            receiver.close()
        found: list[str] = []
        codes: list[int] = []
        for daemon in self._daemons:
            if daemon.process.poll() is None:
                try:
                    if daemon.port:
                        for where, output in canary.answers(daemon):
                            found += canary.hits(where, output)
                        redactions = daemon.page().own("log_redactions_total")
                        found += ["the log's net had to catch a secret"] * int(redactions)
                    codes.append(daemon.stop())
                finally:
                    daemon.kill()
            for where, output in canary.files(daemon):
                found += canary.hits(where, output)
        found += [f"a daemon ended with {code}" for code in codes if code]
        if found:
            pytest.fail("\n".join(dict.fromkeys(found)), pytrace=False)
