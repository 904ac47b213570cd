"""The page for Prometheus. A scrape of the whole page picks ready bytes and writes them."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus

from aiohttp import web

from exporter.exposition.format import Format
from exporter.exposition.negotiate import accepts_gzip, negotiate
from exporter.exposition.pages import EVERYTHING, Page, Selection
from exporter.model.snapshot import Snapshot
from exporter.web.answers import JSON, ErrorAnswer, Refused, headers
from exporter.web.ready import ReadyBody
from exporter.web.route import Answer, Parameter, Route
from exporter.web.site import Site

_VARY = "Accept, Accept-Encoding"
_HEADERS = {(format, False): headers(format.content_type, Vary=_VARY) for format in Format} | {
    (format, True): headers(format.content_type, Vary=_VARY, Content_Encoding="gzip") for format in Format
}
# A scraper sends the same header every time. What is kept is bounded by the size a head may have.
_wants_gzip = lru_cache(maxsize=64)(accepts_gzip)
_COLLECT, _EXCLUDE, _NAME = "collect[]", "exclude[]", "name[]"


def routes(site: Site) -> list[Route]:
    page = Answer("the metrics", tuple(format.content_type for format in Format))
    return [
        Route(
            path=site.telemetry_path,
            name="metrics",
            summary="All metrics in the Prometheus text or the OpenMetrics format.",
            handler=_Metrics(site).serve,
            parameters=(
                Parameter(_NAME, "only these families or samples", repeated=True),
                Parameter(_COLLECT, "only these collectors", repeated=True),
                Parameter(_EXCLUDE, "all collectors but these", repeated=True),
            ),
            answers={
                200: page,
                400: Answer("no such collector", (JSON,), ErrorAnswer),
                503: Answer("a part was asked for and memory is short", (JSON,), ErrorAnswer),
            },
        )
    ]


class _Metrics:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._current = site.feed.current
        self._monotonic = site.clock.monotonic
        self._ready = site.pages.ready
        # One per format and encoding, for as long as its page is the newest.
        self._whole: dict[tuple[Format, bool], tuple[Page, ReadyBody]] = {}

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = request.headers
        format, gzip = negotiate(asked.get("Accept", "")), _wants_gzip(asked.get("Accept-Encoding", ""))
        snapshot = self._current()
        if snapshot is None or self._monotonic() >= snapshot.expires:
            # Frozen figures are worse than none: what is left says that the daemon runs and its cycles do not.
            return _answer(await self._site.pages.own(self._site.own(), format, gzip), request)
        if request.rel_url.raw_query_string:
            selection = _selection(request, snapshot)
            if selection != EVERYTHING:
                if self._site.short_of_memory():
                    raise Refused(
                        HTTPStatus.SERVICE_UNAVAILABLE, "short_of_memory", "only the whole page is served now"
                    )
                return _answer(await self._site.pages.page(snapshot, format, gzip, selection), request)
        page = self._ready(snapshot, format, gzip) or await self._site.pages.page(snapshot, format, gzip, EVERYTHING)
        return self._body(page).answer(request)

    def _body(self, page: Page) -> ReadyBody:
        key = (page.format, page.gzipped)
        known, body = self._whole.get(key, (None, None))
        if body is None or known is not page:
            body = ReadyBody(page.body, _HEADERS[key])
            self._whole[key] = (page, body)
        return body


def _answer(page: Page, request: web.BaseRequest) -> web.StreamResponse:
    return ReadyBody(page.body, _HEADERS[page.format, page.gzipped]).answer(request)


def _selection(request: web.BaseRequest, snapshot: Snapshot) -> Selection:
    query = request.query
    collect, exclude = frozenset(query.getall(_COLLECT, ())), frozenset(query.getall(_EXCLUDE, ()))
    if collect and exclude:
        raise Refused(HTTPStatus.BAD_REQUEST, "bad_selection", "collect[] and exclude[] do not go together")
    if not (collect | exclude) <= snapshot.records.keys():
        known = ", ".join(snapshot.records) or "none"
        raise Refused(HTTPStatus.BAD_REQUEST, "unknown_collector", f"no such collector; there are: {known}")
    return Selection(frozenset(query.getall(_NAME, ())), collect, exclude)
