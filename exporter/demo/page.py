"""The service's own `/metrics`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from aiohttp import web

from exporter.exposition.negotiate import negotiate
from exporter.exposition.render import Renderer
from exporter.instruments.meter import Meter


class MetricsPage:
    """Answers everybody who asks for `/metrics`, with the numbers of that moment."""

    def __init__(self, meters: Sequence[Meter], refresh: Callable[[], None]) -> None:
        process = Meter("process_")
        process.gauge("start_time_seconds", "When the service was started, in seconds since 1970.").labels().set(
            time.time()
        )
        self._meters = (*meters, process)
        self._refresh = refresh
        self._renderer = Renderer()

    async def handle(self, request: web.Request) -> web.Response:
        """For a server."""
        if request.path != "/metrics":
            return web.Response(text="This is a demo; its figures are at /metrics.\n", status=404)
        format = negotiate(request.headers.get("Accept"))
        self._refresh()
        samples = [column for meter in self._meters for column in meter.capture()]
        body = b"".join(self._renderer.render(samples, format))
        return web.Response(body=body, headers={"Content-Type": format.content_type})
