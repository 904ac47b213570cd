"""The table of all routes, and finding the one that is asked for."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from aiohttp import web

from exporter.web import lifecycle, metrics, openapi, status
from exporter.web.answers import TEXT, Refused, headers
from exporter.web.events import Events
from exporter.web.route import Answer, Handler, Route
from exporter.web.site import Site

_REDIRECT = headers(TEXT)


def table(site: Site, events: Events) -> list[Route]:
    """Every route there is. The page for Prometheus may take the place of the one for people."""
    pages = [] if site.telemetry_path == "/" else status.routes(site)
    return openapi.routes(site, [*metrics.routes(site), *pages, *events.routes(), *lifecycle.routes(site)])


class Place:
    """A path with what it takes."""

    def __init__(self, route: Route) -> None:
        self.label = route.path
        self._handlers = {route.method: route.handler}
        if route.method == "GET" and not route.stream:
            self._handlers["HEAD"] = route.handler  # the server sends the head alone

    def handler(self, method: str) -> Handler:
        try:
            return self._handlers[method]
        except KeyError:
            allow = {"Allow": ", ".join(self._handlers)}
            message = f"this path takes {allow['Allow']} only"
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, headers=allow) from None


class Router:
    """The routes, each behind the prefix."""

    def __init__(self, routes: list[Route], prefix: str) -> None:
        self._places: dict[str, Place] = {prefix + route.path: Place(route) for route in routes}
        if len(self._places) < len(routes):
            raise ValueError("the telemetry path belongs to another route")
        self.timed = tuple(route.path for route in routes if not route.stream)
        if prefix:
            # Relative: only the browser knows under which name and path a proxy shows this place.
            self._places["/"] = _redirect(prefix.removeprefix("/") + "/")
            self._places[prefix] = _redirect(prefix.rpartition("/")[2] + "/")

    def find(self, path: str) -> Place | None:
        """What is at a path of ours."""
        return self._places.get(path)


def _redirect(location: str) -> Place:
    async def redirect(request: web.BaseRequest) -> web.Response:
        response = web.Response(status=HTTPStatus.FOUND, headers=_REDIRECT)
        response.headers["Location"] = quote(location)
        return response

    answer = {int(HTTPStatus.FOUND): Answer("to the status page", (TEXT,))}
    return Place(Route(path="/", name="prefix", summary="Leads to the status page.", handler=redirect, answers=answer))
