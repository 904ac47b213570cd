"""Which targets there are, where they were found, and finding them again."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from math import ceil

import msgspec
from aiohttp import web
from msgspec.structs import asdict

from exporter.model.snapshot import Snapshot
from exporter.publishing.refresh import DiscoveryDetail, RefreshDetail, SourceState, TargetPicture
from exporter.web import answers, guard
from exporter.web.answers import JSON, Error, ErrorAnswer, Refused, request_id
from exporter.web.contents import NOT_YET, UNCHANGED, UNSTAMPED, Contents, detail, instant, milliseconds
from exporter.web.route import Answer, Route, path_value
from exporter.web.selection import PARAMETERS, Selection
from exporter.web.site import Site

PATH = "/api/v2/publishing/targets"
NO_SUCH_TARGET = Answer("there is no such target", (JSON,), ErrorAnswer)
BAD_PARAMETER = Answer("a parameter has a value that it cannot have", (JSON,), ErrorAnswer)


class TargetShown(msgspec.Struct, frozen=True, kw_only=True):
    """A target as it may be seen: of its URL scheme, host and port, of its headers the names."""

    name: str
    type: str
    format: str
    enabled: bool
    url: str
    headers: tuple[str, ...]
    origin: str
    source: str


class TargetAnswer(TargetShown, frozen=True, kw_only=True):
    snapshot_id: int
    age_seconds: float


class TargetsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`total` counts all that fit, also those before and behind this part of them."""

    targets: tuple[TargetShown, ...]
    total: int
    offset: int
    limit: int | None
    snapshot_id: int
    age_seconds: float


class SourceShown(msgspec.Struct, frozen=True, kw_only=True):
    """One place where targets are defined, and why it could not be listed if it could not."""

    name: str
    origin: str
    targets: int
    invalid: int
    skipped: int
    last_success: datetime | None
    reason: str | None
    error: str | None


class InvalidDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that gives no target; never what stands in it."""

    origin: str
    document: str
    reason: str
    detail: str


class RefreshStatusAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How the last refresh went, and what could not be used."""

    status: str
    last_refresh: datetime | None
    last_success: datetime | None
    next_refresh: datetime | None
    refresh_duration_ms: float | None
    targets_discovered: int
    targets_valid: int
    targets_invalid: int
    consecutive_failures: int
    reason: str | None
    error: str | None
    sources: tuple[SourceShown, ...]
    invalid: tuple[InvalidDocument, ...]
    snapshot_id: int
    age_seconds: float


class RefreshAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking for a refresh; `error` unless it has begun."""

    message: str
    error: Error | None
    request_id: str
    refresh_started_at: datetime | None
    retry_after_seconds: int | None


_ASKED = {
    "accepted": (HTTPStatus.ACCEPTED, "", "the refresh has begun"),
    "limited": (HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_exceeded", "a refresh was asked for a moment ago"),
    "running": (HTTPStatus.SERVICE_UNAVAILABLE, "refresh_in_progress", "a refresh is under way"),
    "stopped": (HTTPStatus.SERVICE_UNAVAILABLE, "refresh_stopped", "there are no refreshes now"),
}


def routes(site: Site) -> list[Route]:
    targets = _Targets(site)
    return [
        Route(
            path=PATH,
            name="targets",
            summary="The targets with the place each comes from.",
            handler=targets.all,
            parameters=PARAMETERS,
            answers={
                200: Answer("the targets", (JSON,), TargetsAnswer),
                304: UNCHANGED,
                400: BAD_PARAMETER,
                503: NOT_YET,
            },
        ),
        Route(
            path=f"{PATH}/status",
            name="refreshStatus",
            summary="How the last refresh went, every source, and every document that gives no target.",
            handler=targets.status,
            answers={200: Answer("the state", (JSON,), RefreshStatusAnswer), 304: UNCHANGED, 503: NOT_YET},
        ),
        Route(
            path=f"{PATH}/refresh",
            name="refreshTargets",
            method="POST",
            summary="Lists every source of targets now.",
            handler=targets.refresh,
            answers={
                202: Answer("it has begun", (JSON,), RefreshAnswer),
                403: guard.FORBIDDEN,
                429: Answer("not yet again: Retry-After tells when", (JSON,), RefreshAnswer),
                503: Answer("one is under way, or the daemon is stopping", (JSON,), RefreshAnswer),
            },
        ),
        Route(
            path=f"{PATH}/{{name}}",
            name="target",
            summary="One target.",
            handler=targets.one,
            answers={
                200: Answer("the target", (JSON,), TargetAnswer),
                304: UNCHANGED,
                404: NO_SUCH_TARGET,
                503: NOT_YET,
            },
        ),
    ]


class _Targets:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._lists, self._single, self._status = Contents(site), Contents(site), Contents(site)

    async def all(self, request: web.BaseRequest) -> web.Response:
        selection = Selection.of(request)
        return self._lists.answer(request, selection, lambda snapshot: _targets(snapshot, selection))

    async def one(self, request: web.BaseRequest) -> web.Response:
        name = path_value(request, "name")
        return self._single.answer(request, name, lambda snapshot: _target(snapshot, name))

    async def status(self, request: web.BaseRequest) -> web.Response:
        return self._status.answer(request, None, _status)

    async def refresh(self, request: web.BaseRequest) -> web.Response:
        guard.allow(request, self._site)
        asked = self._site.refresh()
        status, code, message = _ASKED[asked.state]
        # Rounded up: whoever waits that long must not be too early.
        again = None if asked.retry_after is None else max(1, ceil(asked.retry_after))
        id = request_id()
        answer = RefreshAnswer(
            message=message,
            error=Error(code, message, id) if code else None,
            request_id=id,
            refresh_started_at=None if asked.state == "stopped" else instant(asked.at),
            retry_after_seconds=again,
        )
        return answers.json(answer, status, None if again is None else {"Retry-After": str(again)})


def _targets(snapshot: Snapshot, selection: Selection) -> TargetsAnswer:
    fitting = selection.of_all(detail(snapshot, "discovery", DiscoveryDetail).targets)
    return TargetsAnswer(
        targets=tuple(map(_shown, selection.page(fitting))),
        total=len(fitting),
        offset=selection.offset,
        limit=selection.limit,
        **UNSTAMPED,
    )


def _target(snapshot: Snapshot, name: str) -> TargetAnswer:
    for target in detail(snapshot, "discovery", DiscoveryDetail).targets:
        if target.name == name:
            return TargetAnswer(**asdict(_shown(target)), **UNSTAMPED)
    raise Refused(HTTPStatus.NOT_FOUND, "unknown_target", "there is no target of this name")


def _shown(target: TargetPicture) -> TargetShown:
    return TargetShown(
        name=target.name,
        type=target.type,
        format=target.format,
        enabled=target.enabled,
        url=target.shown,
        headers=target.headers,
        origin=target.origin,
        source=target.source,
    )


def _status(snapshot: Snapshot) -> RefreshStatusAnswer:
    refresh = detail(snapshot, "refresh", RefreshDetail)
    return RefreshStatusAnswer(
        status=refresh.state,
        last_refresh=instant(refresh.last_refresh),
        last_success=instant(refresh.last_success),
        next_refresh=instant(refresh.next_refresh),
        refresh_duration_ms=milliseconds(refresh.duration),
        targets_discovered=refresh.targets_discovered,
        targets_valid=refresh.targets_valid,
        targets_invalid=refresh.targets_invalid,
        consecutive_failures=refresh.consecutive_failures,
        reason=refresh.reason,
        error=refresh.detail or refresh.reason,
        sources=tuple(map(_source, refresh.sources)),
        invalid=tuple(
            InvalidDocument(origin=one.origin, document=one.document, reason=one.flaw, detail=one.detail)
            for one in refresh.invalid
        ),
        **UNSTAMPED,
    )


def _source(source: SourceState) -> SourceShown:
    return SourceShown(
        name=source.name,
        origin=source.origin,
        targets=source.targets,
        invalid=source.invalid,
        skipped=source.skipped,
        last_success=instant(source.last_success),
        reason=source.reason,
        error=source.detail or source.reason,
    )
