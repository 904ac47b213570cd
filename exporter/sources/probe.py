"""One question to a target: can it be reached, how fast, and what does it say."""

from __future__ import annotations

import ssl
from dataclasses import replace

from exporter.model.collector import Clock, Offload
from exporter.model.target import Target
from exporter.publishing.policy import AddressPolicy
from exporter.sources import smtp
from exporter.sources.http import Call, Client, Request
from exporter.sources.reply import Reply
from exporter.sources.resolver import Resolver
from exporter.sources.tls import TlsOptions
from exporter.sources.wire import dial, first


class Prober(Client):
    """Probes targets, each over a connection of its own, at addresses its origin may lead to; no body is ever read."""

    ignores_login = True  # some of Alertmanager's URLs have one; a probe is sent without credentials anyway

    def __init__(self, offload_dns: Offload, policy: AddressPolicy, clock: Clock, tls: TlsOptions) -> None:
        super().__init__(Resolver(offload_dns, clock), clock, tls, policy, per_host=0)
        self._mail_tls: tuple[TlsOptions, ssl.SSLContext] | None = None

    async def probe(self, target: Target, method: str, send_headers: bool, timeout: float) -> Reply:
        """Sends one request and reads the headers of the answer; raises a failure without any text of the remote.

        A mail server is greeted instead, and the status is the code of its greeting.
        """
        headers = target.headers if send_headers else {}
        request = Request(url=target.url, method=method, headers=headers, origin=target.origin)
        return await self.ask(request, timeout, body=False)

    async def _follow(self, call: Call, redirects: int) -> Reply:
        text = call.request.url.reveal()
        if text.startswith(smtp.SCHEME):
            return await self._greet(call, smtp.place(text))
        return await super()._follow(call, redirects)

    async def _greet(self, call: Call, place: smtp.Place) -> Reply:
        call.begin = self._clock.monotonic()
        call.stage = "name"
        addresses = await self._addresses(call, place.host)
        name, tls = self._tls.server_name or place.host.partition("%")[0], self._for_mail()
        call.stage = "connection"
        at_once = tls if place.encrypted else None
        wire = await first(addresses, lambda address: dial(address, place.port, at_once, name))
        call.stage = "answer"
        try:
            status = await smtp.greet(wire, tls, name)
            return Reply(status=status, latency=self._clock.monotonic() - call.begin, tls_expiry=wire.tls_expiry)
        finally:
            wire.close()

    def _for_mail(self) -> ssl.SSLContext:
        """As for the others, but without offering HTTP; made once for each set of options."""
        if self._mail_tls is None or self._mail_tls[0] is not self._tls:
            self._mail_tls = (self._tls, replace(self._tls, protocols=()).context())
        return self._mail_tls[1]

    async def close(self) -> None:
        """Ends what is under way."""
        await self._resolver.close()
        await super().close()
