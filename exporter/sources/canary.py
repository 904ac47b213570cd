"""Sends canary alerts through the services that have them configured, and knows which of them come back."""

from __future__ import annotations

import asyncio
import hmac
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from exporter.config.schema import Canary as Options
from exporter.config.schema import PublishingService
from exporter.instruments.log import say
from exporter.model.collector import Clock, Offload
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.publishing.canary import Canary, Tally
from exporter.sources.canary_alert import alerts, places
from exporter.sources.credentials import credentials, tls_options
from exporter.sources.http import Client, Request
from exporter.sources.reading import Reader
from exporter.sources.resolver import Resolver
from exporter.sources.tls import TlsOptions

_log = logging.getLogger(__name__)

_TAKEN = (200, 201, 202, 204)
_SOON = 5.0  # seconds after a start in which the first one leaves
_EARLIER = 0.1  # of the interval, at most, so that many daemons do not send at once
_LONGEST_SENDING = 10.0


class Canaries:
    """All of them. What is configured may be replaced at any time; what was counted stays with a service's name."""

    def __init__(
        self, resolver: Resolver, clock: Clock, files: Offload, luck: Callable[[], float] = random.random
    ) -> None:
        self.tally = Tally()
        self._resolver = resolver
        self._clock = clock
        self._files = files
        self._luck = luck
        self._flights: dict[str, _Flight] = {}

    def configure(self, services: Sequence[PublishingService]) -> None:
        """Starts and stops them with the configuration; those of which nothing changed fly on."""
        wanted = {options.name: options for options in services if options.canary is not None}
        for name in self._flights.keys() - wanted.keys():
            self._flights.pop(name).stop()
            self.tally.forget(name)
        for name, options in wanted.items():
            same = self._flights.get(name)
            if same is not None and same.service == options:
                same.renew()
                continue
            canary = same.canary if same is not None else Canary(name, self.tally, self._clock)
            if same is not None:
                same.stop()
            # A connection for each: one kept for so long may be closed by then, and a POST is not sent twice.
            client = Client(self._resolver, self._clock, TlsOptions(), per_host=0)
            self._flights[name] = _Flight(options, canary, client, Reader(self._files), self._clock, self._luck)

    @property
    def expecting(self) -> bool:
        """Whether any are sent at all."""
        return bool(self._flights)

    def holders(self, token: bytes) -> tuple[str, ...]:
        """The services whose canaries come with this token. How long that takes says nothing about any of them."""
        return tuple([name for name, flight in self._flights.items() if flight.opens_to(token)])

    def returned(self, holders: Sequence[str], ids: Sequence[str]) -> int:
        """Takes what came back for these services; how many were really theirs."""
        return sum(self._flights[name].back(ids) for name in holders if name in self._flights)

    async def close(self) -> None:
        """Sends no more."""
        flights = list(self._flights.values())
        self._flights.clear()
        for flight in flights:
            flight.stop()
        await asyncio.gather(*[flight.task for flight in flights], return_exceptions=True)


class _Flight:
    """The canaries of one service: one leaves, is waited for, and after the rest of the interval the next."""

    def __init__(
        self,
        service: PublishingService,
        canary: Canary,
        client: Client,
        read: Reader,
        clock: Clock,
        luck: Callable[[], float],
    ) -> None:
        assert service.canary is not None
        self.service = service
        self.canary = canary
        self._options: Options = service.canary
        self._places = places(service)
        self._client = client
        self._read = read
        self._clock = clock
        self._luck = luck
        self._well = True
        self.renew()
        self.task = asyncio.get_running_loop().create_task(self._run(), name="canary")

    def renew(self) -> None:
        """Reads the files of TLS, checked a moment ago: what has gone since leaves what was before in force."""
        tls = self.service.tls
        with suppress(Failure):
            # Its URL has the name of whoever is asked, which a service that is found by a name may not be.
            self._client.tls = replace(tls_options(self.service), server_name=tls.server_name if tls else None)

    def stop(self) -> None:
        self.task.cancel()
        self._read.close()
        self.canary.release()

    def opens_to(self, token: bytes) -> bool:
        return hmac.compare_digest(self._options.token.reveal().encode(), token)

    def back(self, ids: Sequence[str]) -> int:
        found = self.canary.back(ids)
        for one in found:
            if one.late:
                say(_log, logging.INFO, "a canary came back late", upstream=self.service.name, seconds=one.seconds)
            elif not self._well:
                self._well = True
                say(_log, logging.INFO, "canaries come back again", upstream=self.service.name)
        return len(found)

    async def _run(self) -> None:
        interval = self._options.interval
        await asyncio.sleep(min(_SOON, interval) * self._luck())
        while True:
            begin = self._clock.monotonic()
            await self._one()
            await self._until(begin + interval * (1.0 - _EARLIER * self._luck()))

    async def _one(self) -> None:
        begin = self._clock.monotonic()
        failure = await self._sent(self.canary.leave())
        # Waited for all the same: an alert may have been taken although its answer was lost.
        await self._until(begin + self._options.lost_after)
        if self.canary.give_up() and self._well:
            self._well = False
            why = {"reason": failure.reason, "detail": failure.detail} if failure is not None else {}
            say(_log, logging.WARNING, "a canary did not come back", upstream=self.service.name, **why)

    async def _until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - self._clock.monotonic()))

    async def _sent(self, id: str) -> Failure | None:
        """Sends it to every replica, as Prometheus does; None if one of them took it."""
        timeout = min(_LONGEST_SENDING, self._options.lost_after)
        try:
            async with asyncio.timeout(timeout):
                headers = {**await credentials(self.service, self._read), "Content-Type": "application/json"}
            content = alerts(self._options, id, self._clock.wall())
        except Failure as failure:
            return failure
        except TimeoutError:
            return Failure(Reason.TIMEOUT, "the bearer_token_file was not read in time")
        except Exception as error:  # whatever it is, the next one leaves in its time
            return Failure(Reason.INTERNAL, type(error).__name__)
        requests = [Request(url=url, method="POST", headers=headers, content=content) for url in self._places]
        failures = await asyncio.gather(*[self._post(request, timeout) for request in requests])
        return failures[0] if all(failures) else None

    async def _post(self, request: Request, timeout: float) -> Failure | None:
        try:
            (await self._client.ask(request, timeout, body=False)).expect(*_TAKEN)
        except Failure as failure:
            return failure
        return None
