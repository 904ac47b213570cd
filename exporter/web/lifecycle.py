"""For whoever runs the daemon: is it alive, is it ready, and read your configuration again."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from exporter.web import answers, guard
from exporter.web.answers import JSON, TEXT, ErrorAnswer, Place, Refused, ReloadAnswer, ReloadErrorAnswer
from exporter.web.route import Answer, Parameter, Route
from exporter.web.site import Site

_DRY_RUN = "dry_run"


def routes(site: Site) -> list[Route]:
    lifecycle = _Lifecycle(site)
    return [
        Route(
            path="/-/healthy",
            name="healthy",
            summary="Whether the daemon lives: 503 when its loop or its cycles stand still.",
            handler=lifecycle.healthy,
            answers={200: Answer("it lives", (TEXT,)), 503: Answer("it does not", (JSON,), ErrorAnswer)},
        ),
        Route(
            path="/-/ready",
            name="ready",
            summary="Whether there are figures to serve, and fresh ones.",
            handler=lifecycle.ready,
            answers={200: Answer("there are", (TEXT,)), 503: Answer("why not", (JSON,), ErrorAnswer)},
        ),
        Route(
            path="/-/reload",
            name="reload",
            method="POST",
            summary="Reads the configuration again. With a mistake in it nothing changes.",
            handler=lifecycle.reload,
            parameters=(Parameter(_DRY_RUN, "1: only say what would change"),),
            answers={
                200: Answer("what changed", (JSON,), ReloadAnswer),
                400: Answer("what is wrong with the configuration", (JSON,), ReloadErrorAnswer),
                403: guard.FORBIDDEN,
            },
        ),
    ]


class _Lifecycle:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def healthy(self, request: web.BaseRequest) -> web.Response:
        if not self._site.alive():
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "not_healthy", "the event loop or the cycle stands still")
        return answers.text("healthy")

    async def ready(self, request: web.BaseRequest) -> web.Response:
        snapshot, now = self._site.feed.current(), self._site.clock.monotonic()
        if snapshot is None:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", "no cycle has ended yet")
        if now >= snapshot.expires:
            age = now - snapshot.monotonic
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", f"no cycle has ended for {age:.0f} s")
        return answers.text("ready")

    async def reload(self, request: web.BaseRequest) -> web.Response:
        guard.allow(request, self._site, instead=", or send SIGHUP")
        dry_run = _flag(request)
        done = await self._site.reload(dry_run)
        if done.problems:
            places = tuple(Place(p.file, p.line, p.column, p.path, p.message) for p in done.problems)
            message = "the configuration has mistakes; nothing was changed"
            raise Refused(HTTPStatus.BAD_REQUEST, "bad_configuration", message, problems=places)
        return answers.json(ReloadAnswer(done.changes, not dry_run))


def _flag(request: web.BaseRequest) -> bool:
    value = request.query.get(_DRY_RUN, "0")
    if value not in ("0", "1", "false", "true"):
        raise Refused(HTTPStatus.BAD_REQUEST, "bad_parameter", f"{_DRY_RUN} is 0 or 1")
    return value in ("1", "true")
