"""The one chain in front of every route: who may come in, what goes wrong, what is counted."""

from __future__ import annotations

import logging
import traceback
from http import HTTPStatus
from time import perf_counter

from aiohttp import HttpVersion10, HttpVersion11, web

from exporter.instruments.meter import CounterCell, Meter
from exporter.web import answers
from exporter.web.access import Access
from exporter.web.answers import Refused
from exporter.web.complaints import Complaints
from exporter.web.route import keep_path_values
from exporter.web.routes import Router

_log = logging.getLogger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"})
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)
OTHER = "other"
# Whoever restarts a daemon that is not well has no credentials; these tell nothing else.
OPEN = frozenset({"/-/healthy", "/-/ready"})
LARGE = 64 * 1024  # bytes of a body that nobody sends by accident


class Chain:
    """What the server calls for each request: aiohttp's own application would cost half as much again."""

    def __init__(self, meter: Meter, router: Router, complain: Complaints, access: Access | None = None) -> None:
        self._find = router.find
        self._count = _Count(meter, router)
        self._complain = complain
        self._access = access if access is not None and access.configured else None

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        started = perf_counter()
        if not ("Host" in request.headers if request.version == HttpVersion11 else request.version == HttpVersion10):
            return self.malformed()
        found = self._find(request.rel_url.raw_path)
        place = None if found is None else found.place
        try:
            if self._access is not None and (place is None or place.label not in OPEN):
                await self._access.guard(request, login=place is None or not place.has_token(request.method))
            if found is None:
                raise Refused(HTTPStatus.NOT_FOUND, "not_found", "there is nothing at this path")
            handler = found.place.handler(request.method)
            if request.body_exists and not found.place.takes_body:
                raise _body_refused(request)
            if found.values:
                keep_path_values(request, found.values)
            response = await handler(request)
        except Exception as error:
            response = _refusal(error)
        if request.body_exists:
            # What is left of a refused body is not read, so the next request cannot be found; and what came of one that
            # was taken would count as a request that does not end.
            response.force_close()
        if self._access is not None and self._access.headers and not response.prepared:
            response.headers.update(self._access.headers)
        self._count(OTHER if place is None else place.label, request.method, response.status, perf_counter() - started)
        return response

    def malformed(self) -> web.Response:
        """The answer to what is not a request of HTTP/1; its connection is of no more use."""
        self._complain("a request is malformed, its connection is closed")
        refused = Refused(HTTPStatus.BAD_REQUEST, "malformed", "this is not a request of HTTP/1.1")
        response = _refusal(refused)
        response.force_close()
        self._count(OTHER, OTHER, response.status, 0.0)
        return response


class _Count:
    """Our own HTTP metrics. What a client makes up never becomes a label."""

    def __init__(self, meter: Meter, router: Router) -> None:
        self._requests = meter.counter(
            "http_requests_total", "Requests answered, by route, method and status code.", ("route", "method", "code")
        )
        durations = meter.histogram(
            "http_request_duration_seconds", "Time from a request's head to its ready answer.", BUCKETS, ("route",)
        )
        # A stream lasts as long as its reader stays: that is nobody's latency.
        self._durations = {label: durations.labels(label) for label in (*router.timed, OTHER)}
        self._cells: dict[tuple[str, str, int], CounterCell] = {}

    def __call__(self, route: str, method: str, status: int, seconds: float) -> None:
        key = (route, method if method in METHODS else OTHER, status)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = self._requests.labels(key[0], key[1], str(status))
        cell.inc()
        duration = self._durations.get(route)
        if duration is not None:
            duration.observe(seconds)


def _body_refused(request: web.BaseRequest) -> Refused:
    # Reading it, or inflating it, would be work that only its sender decides about.
    length = request.content_length
    if length is None or length > LARGE:
        return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "the request must have no body")
    return Refused(HTTPStatus.BAD_REQUEST, "body_not_allowed", "the request must have no body")


def _refusal(error: Exception) -> web.Response:
    request_id = answers.request_id()
    refused = error if isinstance(error, Refused) else _unexpected(error, request_id)
    if refused.problems is None:
        body = answers.Error(refused.code, refused.message, request_id)
    else:
        body = answers.ErrorWithProblems(refused.code, refused.message, request_id, refused.problems)
    return answers.json(answers.ErrorAnswer(body), refused.status, refused.headers)


def _unexpected(error: Exception, request_id: str) -> Refused:
    # The exception's text may quote what it was given; its class and its place are ours.
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
    _log.error("a request failed: %s at %s, request_id %s", type(error).__name__, place, request_id)
    message = "the request failed here; the log has its request_id"
    return Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", message)
