"""A small world of alerting on loopback, receivers and a service that calls them: to try the product, and for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from exporter.demo.configuration import Ports, config_text, watched_service, write_files
from exporter.demo.publishing import SEED, Publishing, courier
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
from exporter.demo.trouble import Switch, flaky, hanging

# Fails long enough to be found unhealthy (three probes, ten seconds apart), and is seen to recover within two minutes.
SCHEDULE = Schedule(works=40.0, fails=40.0)
HANGING = Schedule(works=40.0, fails=20.0)  # answers every probe, and yet takes no alert while it hangs


class Demo:
    """The running world, the configuration that watches it, and the folder that it names.

    `slack` is there to be broken and healed.
    """

    def __init__(self, running: AsyncExitStack, folder: Path, slack: Switch, ports: Ports, metrics: int) -> None:
        self.config_text = config_text(ports, folder) + watched_service(metrics)
        self.folder = folder
        self.slack = slack
        self.slack_url = f"http://127.0.0.1:{ports.slack}"
        self.metrics_url = f"http://127.0.0.1:{metrics}/metrics"
        self._running = running

    async def stop(self) -> None:
        """Stops everything and removes the folder."""
        await self._running.aclose()


async def start(
    monotonic: Callable[[], float] = time.monotonic, schedule: Schedule = SCHEDULE, publishing: bool = True
) -> Demo:
    """Starts a receiver of each kind; the schedules of those in trouble begin now. Alerts are sent if `publishing`."""
    async with AsyncExitStack() as stack:
        receivers = Receivers()
        stack.push_async_callback(receivers.close)
        switch = Switch(slack)
        ports = Ports(
            rootly=await receivers.serve(flaky(rootly, (422, 429, 500), 0.15, SEED)),
            slack=await receivers.serve(switch.handle),
            revoked=await receivers.serve(revoked_slack),
            pagerduty=await receivers.serve(pagerduty(schedule, monotonic)),
            webhook=await receivers.serve(flaky(webhook, (302, 401, 408, 503), 0.15, SEED), server_tls()),
            partner=await receivers.serve(hanging(webhook, HANGING, monotonic)),
        )
        carrier = courier(monotonic)
        stack.push_async_callback(carrier.close)
        service = Publishing(ports, carrier, monotonic)
        metrics = await receivers.serve(service.page.handle)
        if publishing:
            service.start()
            stack.push_async_callback(service.stop)
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="platform-exporter-demo-")))
        write_files(ports, folder)
        return Demo(stack.pop_all(), folder, switch, ports, metrics)
