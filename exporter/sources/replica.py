"""One process of a watched service: asked, read and translated."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

from exporter.model.collector import Clock, Offload
from exporter.model.errors import Backoff, Failure
from exporter.model.reason import Reason
from exporter.publishing.dialects.labels import Labelling
from exporter.publishing.dialects.mapping import Dialect
from exporter.publishing.dialects.page import Page
from exporter.publishing.dialects.translate import Translation, Translator
from exporter.publishing.upstream import ReplicaState
from exporter.sources.exposition import PageParser
from exporter.sources.http import Client, Request
from exporter.sources.reply import Reply

OPENMETRICS = "application/openmetrics-text"
# OpenMetrics first: by its last line a page that was cut is known.
ACCEPT = f"{OPENMETRICS};version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

_STARTED = "process_start_time_seconds"
_SLACK = 1.0  # seconds by which a process may tell its own start differently
_STABLE = 20  # scrapes of one and the same process after which it is believed to be the only one


@dataclass(slots=True)
class Identity:
    """Tells one process that was restarted from several behind one address.

    A restart only ever brings a later start. An earlier one means that an older process has answered again: then the
    counters of several processes would be mixed, and every change between them would look like a reset.
    """

    started: float | None = None
    suspicious: int = 0

    def mixed(self, started: float | None) -> bool:
        """Notes when the process that answered was started; tells whether there are several."""
        before, self.started = self.started, started
        if started is None or before is None:
            return self.suspicious > 0
        if started < before - _SLACK or (self.suspicious and abs(started - before) > _SLACK):
            self.suspicious = _STABLE
        else:
            self.suspicious = max(0, self.suspicious - 1)
        return self.suspicious > 0


class Replica:
    """Asks one replica, whose pages it remembers so that the next one is read with less work."""

    def __init__(self, upstream: str, name: str, dialect: Dialect, labelling: Labelling) -> None:
        self.name = name
        self._parser = PageParser()
        self._translator = Translator(dialect, labelling, (upstream, name))
        self._identity = Identity()
        self._last_success: float | None = None
        # A reading that was given up may still be at it when the next one begins.
        self._reading = threading.Lock()

    async def scrape(
        self, client: Client, request: Request, timeout: float, clock: Clock, offload: Offload
    ) -> ReplicaState:
        """One scrape, which is whole or nothing."""
        at, begin = clock.wall(), clock.monotonic()
        try:
            reply = await client.fetch(request, timeout)
            async with asyncio.timeout(timeout - (clock.monotonic() - begin)):
                page, translation = await offload(lambda: self._read(reply))
            if self._identity.mixed(_started(page)):
                raise Failure(
                    Reason.PARTIAL, "several processes answer here by turns: list the replicas under urls or dns"
                )
        except Failure as failure:
            return self.failed(at, clock.monotonic() - begin, failure)
        except TimeoutError:  # it is read to its end all the same, which makes the next one quicker
            return self.failed(at, clock.monotonic() - begin, Failure(Reason.TIMEOUT, "the page was not read in time"))
        except Exception as error:  # what goes wrong with one replica must not cost the others theirs
            return self.failed(at, clock.monotonic() - begin, Failure(Reason.INTERNAL, type(error).__name__))
        self._last_success = clock.wall()
        return ReplicaState(
            replica=self.name,
            at=at,
            duration=clock.monotonic() - begin,
            samples=len(page),
            last_success=self._last_success,
            absent=translation.absent,
            rows=translation.rows,
        )

    def failed(self, at: float, duration: float, failure: Failure) -> ReplicaState:
        """The state after a scrape that brought nothing."""
        return ReplicaState(
            replica=self.name,
            at=at,
            duration=duration,
            reason=failure.reason,
            detail=failure.detail,
            backoff=isinstance(failure, Backoff),
            last_success=self._last_success,
        )

    def _read(self, reply: Reply) -> tuple[Page, Translation]:
        self._parser.bound(reply.body)  # before it is decoded, which takes as much memory again
        openmetrics = reply.headers.get("content-type", "").strip().lower().startswith(OPENMETRICS)
        with self._reading:
            page = self._parser.parse(reply.text(), openmetrics)
            return page, self._translator(page)


def _started(page: Page) -> float | None:
    found = page.of(_STARTED)
    return found[0][1] if len(found) == 1 else None
