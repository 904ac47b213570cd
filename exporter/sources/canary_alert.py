"""What a canary looks like to an Alertmanager, and where that takes it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from exporter.config.schema import Canary, PublishingService
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.model.secret import Secret
from exporter.publishing.canary import ID_LABEL

NAME = "PlatformExporterCanary"
_SUMMARY = "Shows that alerts are delivered. It resolves by itself, and nobody has to do anything."
_TAKES = "/api/v2/alerts"


def alerts(options: Canary, id: str, wall: float) -> bytes:
    """The body of a request with one canary: labels of the configuration for the routes, the id for us."""
    alert = {
        "labels": {"alertname": NAME, **options.labels, ID_LABEL: id},
        "annotations": {"summary": _SUMMARY},
        "startsAt": datetime.fromtimestamp(wall, UTC),
        "endsAt": datetime.fromtimestamp(wall + options.lost_after, UTC),
    }
    return msgspec.json.encode([alert])


def places(service: PublishingService) -> tuple[Secret, ...]:
    """Where alerts are taken, as far as the configuration tells; else it fails."""
    assert service.canary is not None
    if service.canary.url is not None:
        return (_below(service.canary.url.reveal().rstrip("/").removesuffix(_TAKES)),)
    if service.dialect == "alertmanager":
        if service.dns is not None:
            scheme = "http" if service.tls is None else "https"
            found = [f"{scheme}://{service.dns.name}:{service.dns.port}{service.dns.path}"]
        else:
            found = [url.reveal() for url in (service.url, *(service.urls or ())) if url is not None]
        if all(url.endswith("/metrics") for url in found):
            return tuple([_below(url.removesuffix("/metrics")) for url in found])
    raise Failure(Reason.CONFIG, "needs the url of the Alertmanager: that of the metrics does not tell it")


def _below(base: str) -> Secret:
    if "?" in base or "#" in base:
        raise Failure(Reason.CONFIG, "the url must have no query")
    return Secret(base + _TAKES)
