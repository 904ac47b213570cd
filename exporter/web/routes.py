"""The table of all routes, and finding the one that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from aiohttp import web

from exporter.web import (
    canary,
    lifecycle,
    metrics,
    openapi,
    readings,
    score,
    sd,
    stats,
    status,
    target_health,
    targets,
    trends,
)
from exporter.web.answers import TEXT, Refused, headers
from exporter.web.events import Events
from exporter.web.route import Answer, Handler, Route
from exporter.web.site import Site

_REDIRECT = headers(TEXT)


def table(site: Site, events: Events) -> list[Route]:
    """Every route there is. The page for Prometheus may take the place of the one for people."""
    pages = [] if site.telemetry_path == "/" else status.routes(site)
    publishing = [*readings.routes(site), *stats.routes(site), *score.routes(site), *trends.routes(site)]
    api = [*publishing, *targets.routes(site), *target_health.routes(site), *sd.routes(site), *canary.routes(site)]
    return openapi.routes(site, [*metrics.routes(site), *pages, *events.routes(), *lifecycle.routes(site), *api])


class Place:
    """A path with what it takes."""

    def __init__(self, route: Route) -> None:
        self.label = route.path
        self.takes_body = route.body is not None
        self._token = route.token
        self._handlers = {route.method: route.handler}
        if route.method == "GET" and not route.stream:
            self._handlers["HEAD"] = route.handler  # the server sends the head alone

    def has_token(self, method: str) -> bool:
        """Whether its handler asks for a token, so that nobody has to log in before."""
        return self._token and method in self._handlers

    def handler(self, method: str) -> Handler:
        try:
            return self._handlers[method]
        except KeyError:
            allow = {"Allow": ", ".join(self._handlers)}
            message = f"this path takes {allow['Allow']} only"
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, headers=allow) from None


class Found(NamedTuple):
    """A place, and what the path that led there says in it."""

    place: Place
    values: Mapping[str, str]


class Template:
    """A path in which some segments stand for any text; it matches segments that have been decoded."""

    def __init__(self, prefix: str, route: Route) -> None:
        self.place = Place(route)
        self._segments = (prefix + route.path).split("/")[1:]
        self.literal = sum(not segment.startswith("{") for segment in self._segments)
        self._spans = self._segments[-1].startswith("{")

    def match(self, segments: list[str], whole: bool) -> Found | None:
        """What these segments mean here; `whole`: a last one that stands for any text takes all that are left."""
        count = len(self._segments)
        if whole and self._spans and len(segments) > count:
            segments = [*segments[: count - 1], "/".join(segments[count - 1 :])]
        if len(segments) != count:
            return None
        values = {}
        for wanted, given in zip(self._segments, segments, strict=True):
            if wanted.startswith("{"):
                values[wanted[1:-1]] = given
            elif wanted != given:
                return None
        return Found(self.place, values) if all(values.values()) else None


class Router:
    """The routes, each behind the prefix."""

    def __init__(self, routes: list[Route], prefix: str) -> None:
        fixed = [route for route in routes if not route.path_names]
        self._places = {prefix + route.path: Found(Place(route), {}) for route in fixed}
        if len(self._places) < len(fixed):
            raise ValueError("the telemetry path belongs to another route")
        templates = [Template(prefix, route) for route in routes if route.path_names]
        self._templates = sorted(templates, key=lambda template: -template.literal)
        self.timed = tuple(route.path for route in routes if not route.stream)
        if prefix:
            # Relative: only the browser knows under which name and path a proxy shows this place.
            self._places["/"] = Found(_redirect(prefix.removeprefix("/") + "/"), {})
            self._places[prefix] = Found(_redirect(prefix.rpartition("/")[2] + "/"), {})

    def find(self, path: str) -> Found | None:
        """What is at a path of ours, given as it was sent.

        A name may hold slashes: as `%2F` they are never taken for the ends of segments, and where no route fits a path
        exactly, they need not be encoded.
        """
        if (found := self._places.get(path)) is not None:
            return found
        segments = _decoded(path)
        if segments is None:
            return None
        plain = not any("/" in segment for segment in segments)
        if plain and (found := self._places.get("/" + "/".join(segments))) is not None:
            return found
        for whole in (False, True):
            for template in self._templates:
                if (found := template.match(segments, whole)) is not None:
                    return found
        return None


def _decoded(path: str) -> list[str] | None:
    """The segments of a path, each decoded exactly once; None if that gives no text."""
    try:
        return [unquote_to_bytes(segment).decode() for segment in path.split("/")[1:]]
    except UnicodeError:
        return None


def _redirect(location: str) -> Place:
    async def redirect(request: web.BaseRequest) -> web.Response:
        response = web.Response(status=HTTPStatus.FOUND, headers=_REDIRECT)
        response.headers["Location"] = quote(location)
        return response

    answer = {int(HTTPStatus.FOUND): Answer("to the status page", (TEXT,))}
    return Place(Route(path="/", name="prefix", summary="Leads to the status page.", handler=redirect, answers=answer))
