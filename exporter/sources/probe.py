"""One request to a target: can it be reached, how fast, and what does it say."""

from __future__ import annotations

from exporter.model.collector import Clock, Offload
from exporter.model.target import Target
from exporter.publishing.policy import AddressPolicy
from exporter.sources.http import Client, Request
from exporter.sources.reply import Reply
from exporter.sources.resolver import Resolver
from exporter.sources.tls import TlsOptions


class Prober(Client):
    """Probes targets, each over a connection of its own, at addresses its origin may lead to; no body is ever read."""

    ignores_login = True  # some of Alertmanager's URLs have one; a probe is sent without credentials anyway

    def __init__(self, offload_dns: Offload, policy: AddressPolicy, clock: Clock, tls: TlsOptions) -> None:
        super().__init__(Resolver(offload_dns, clock), clock, tls, policy, per_host=0)

    async def probe(self, target: Target, method: str, send_headers: bool, timeout: float) -> Reply:
        """Sends one request and reads the headers of the answer; raises a failure without any text of the remote."""
        headers = target.headers if send_headers else {}
        request = Request(url=target.url, method=method, headers=headers, origin=target.origin)
        return await self.ask(request, timeout, body=False)

    async def close(self) -> None:
        """Ends what is under way."""
        await self._resolver.close()
        await super().close()
