"""What stands before every route that changes something or sets something in motion."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from exporter.web.answers import JSON, ErrorAnswer, Refused
from exporter.web.route import Answer
from exporter.web.site import Site

FORBIDDEN = Answer("switched off, or asked by another site", (JSON,), ErrorAnswer)


def allow(request: web.BaseRequest, site: Site, instead: str = "") -> None:
    """Refuses unless the switch is on and nobody's browser was talked into it; `instead`: how else it can be had."""
    if not site.enable_lifecycle:
        hint = f"changing anything over HTTP is off; start with --web.enable-lifecycle{instead}"
        raise Refused(HTTPStatus.FORBIDDEN, "lifecycle_disabled", hint)
    _refuse_other_sites(request, site.external_url)


def _refuse_other_sites(request: web.BaseRequest, external_url: str) -> None:
    """A page of another site must not make the browser of whoever visits it change something here."""
    origin = request.headers.get("Origin")
    ours = {request.headers.get("Host", ""), urlsplit(external_url).netloc} - {""}
    fetched_from = request.headers.get("Sec-Fetch-Site", "none")
    if fetched_from not in ("none", "same-origin") or (origin is not None and _netloc(origin) not in ours):
        raise Refused(HTTPStatus.FORBIDDEN, "other_site", "requests from pages of other sites are refused")


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # an unclosed bracket
        return ""
