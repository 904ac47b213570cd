"""A small world of alert receivers on loopback, for trying the product and for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from exporter.demo.configuration import Ports, config_text, write_files
from exporter.demo.receivers import (
    Receivers,
    Schedule,
    pagerduty,
    revoked_slack,
    rootly,
    server_tls,
    slack,
    webhook,
)

# Fails long enough to be found unhealthy (three probes, ten seconds apart), and is seen to recover within two minutes.
SCHEDULE = Schedule(works=40.0, fails=40.0)


class Demo:
    """The running receivers, the configuration that watches them, and the folder that it names."""

    def __init__(self, receivers: Receivers, config_text: str, folder: TemporaryDirectory[str]) -> None:
        self.config_text = config_text
        self.folder = Path(folder.name)
        self._receivers = receivers
        self._folder = folder

    async def stop(self) -> None:
        """Stops the receivers and removes the folder."""
        await self._receivers.close()
        self._folder.cleanup()


async def start(monotonic: Callable[[], float] = time.monotonic, schedule: Schedule = SCHEDULE) -> Demo:
    """Starts a receiver of each kind; the schedule of the failing one begins now."""
    receivers = Receivers()
    try:
        ports = Ports(
            rootly=await receivers.serve(rootly),
            slack=await receivers.serve(slack),
            revoked=await receivers.serve(revoked_slack),
            pagerduty=await receivers.serve(pagerduty(schedule, monotonic)),
            webhook=await receivers.serve(webhook, server_tls()),
        )
        folder = TemporaryDirectory(prefix="platform-exporter-demo-")
        write_files(ports, Path(folder.name))
    except BaseException:
        await receivers.close()
        raise
    return Demo(receivers, config_text(ports, Path(folder.name)), folder)
