"""The targets for whoever wants to watch them too: Prometheus's HTTP service discovery."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from aiohttp import web

from exporter.model.snapshot import Snapshot
from exporter.publishing.refresh import DiscoveryDetail, RefreshDetail, TargetPicture
from exporter.web.answers import JSON, ErrorAnswer, Refused
from exporter.web.contents import UNCHANGED, Contents, detail
from exporter.web.route import Answer, Route
from exporter.web.site import Site

_PORTS = {"http": 80, "https": 443, "smtp": 25}
_LABEL = "__meta_publishing_target_"


class TargetGroup(msgspec.Struct, frozen=True):
    """One target: where it is, and what relabelling may use."""

    targets: tuple[str]
    labels: dict[str, str]


def routes(site: Site) -> list[Route]:
    discovery = _ServiceDiscovery(site)
    return [
        Route(
            path="/sd/targets",
            name="serviceDiscovery",
            summary="The targets that are switched on, as Prometheus's HTTP service discovery takes them.",
            handler=discovery.serve,
            answers={
                200: Answer("a list of target groups", (JSON,), TargetGroup, listed=True),
                304: UNCHANGED,
                503: Answer(
                    "not all sources have been listed yet: what is known from before holds", (JSON,), ErrorAnswer
                ),
            },
        )
    ]


class _ServiceDiscovery:
    def __init__(self, site: Site) -> None:
        self._groups = Contents(site)

    async def serve(self, request: web.BaseRequest) -> web.Response:
        return self._groups.answer(request, None, _groups)


def _groups(snapshot: Snapshot) -> list[TargetGroup]:
    refresh = snapshot.details.get("refresh")
    if isinstance(refresh, RefreshDetail) and refresh.last_success is None:
        # After an error Prometheus keeps the targets it had; a list with holes would take them away.
        message = "no refresh has ended well yet"
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "not_known", message)
    targets = detail(snapshot, "discovery", DiscoveryDetail).targets
    return [_group(target) for target in targets if target.enabled]


def _group(target: TargetPicture) -> TargetGroup:
    scheme, _, address = target.shown.partition("://")
    if ":" not in address.rpartition("]")[2]:  # an IPv6 address has colons of its own, within brackets
        address += f":{_PORTS.get(scheme, 443)}"
    labels = {"name": target.name, "type": target.type, "scheme": scheme}
    return TargetGroup((address,), {_LABEL + name: value for name, value in labels.items()})
