"""A small world of alert receivers on loopback, for trying the product and for tests."""

from __future__ import annotations

import time
from collections.abc import Callable

from exporter.demo.configuration import Ports, config_text
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
    """The running receivers, and the configuration that watches them."""

    def __init__(self, receivers: Receivers, config_text: str) -> None:
        self.config_text = config_text
        self._receivers = receivers

    async def stop(self) -> None:
        """Stops the receivers."""
        await self._receivers.close()


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
    except BaseException:
        await receivers.close()
        raise
    return Demo(receivers, config_text(ports))
