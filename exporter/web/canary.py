"""Where a receiver of a watched service brings canary alerts back: the one path that takes a body."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import msgspec
from aiohttp import web

from exporter.publishing.canary import ID_LABEL, Aviary
from exporter.web import answers
from exporter.web.answers import JSON, ErrorAnswer, Refused
from exporter.web.route import Answer, Route
from exporter.web.site import Site

PATH = "/api/v2/publishing/canary"
# With the head it stays below what a connection may bring without becoming a request.
LARGEST = 48 * 1024
PATIENCE = 10.0  # from the head of the request to the end of its body

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="platform-exporter canary"'}


class CanaryAlert(msgspec.Struct, frozen=True):
    """One alert of a notification; all that counts is its label `canary_id`."""

    labels: dict[str, str]


class CanaryNotification(msgspec.Struct, frozen=True):
    """What Alertmanager's webhook receiver sends."""

    alerts: list[CanaryAlert]


class CanaryAnswer(msgspec.Struct, frozen=True):
    """How many canaries came home with this notification."""

    received: int


_decode = msgspec.json.Decoder(CanaryNotification).decode


def routes(site: Site) -> list[Route]:
    return [
        Route(
            path=PATH,
            name="canary",
            method="POST",
            summary="Brings canary alerts back, with the token of `publishing_services[].canary`.",
            handler=_Canary(site.canaries).serve,
            body=CanaryNotification,
            token=True,
            answers={
                200: Answer("taken", (JSON,), CanaryAnswer),
                400: Answer("no body, or not one of Alertmanager's webhook", (JSON,), ErrorAnswer),
                401: Answer("the token is missing or wrong", (JSON,), ErrorAnswer),
                404: Answer("no canary is configured", (JSON,), ErrorAnswer),
                408: Answer("the body did not end in time", (JSON,), ErrorAnswer),
                413: Answer(f"the body is larger than {LARGEST} bytes", (JSON,), ErrorAnswer),
                415: Answer("the body is not JSON, or compressed", (JSON,), ErrorAnswer),
            },
        )
    ]


class _Canary:
    def __init__(self, aviary: Aviary | None) -> None:
        self._aviary = aviary

    async def serve(self, request: web.BaseRequest) -> web.Response:
        aviary = self._aviary
        if aviary is None or not aviary.expecting:
            raise Refused(HTTPStatus.NOT_FOUND, "no_canary", "no canary is configured")
        # Before a byte of the body is read: a stranger decides about no work of ours.
        holders = aviary.holders(_token(request))
        if not holders:
            message = "the token of a canary is needed"
            raise Refused(HTTPStatus.UNAUTHORIZED, "unauthorized", message, headers=_CHALLENGE)
        _check_media(request)
        notification = _notification(await _body(request))
        ids = [alert.labels[ID_LABEL] for alert in notification.alerts if ID_LABEL in alert.labels]
        return answers.json(CanaryAnswer(aviary.returned(holders, ids)))


def _token(request: web.BaseRequest) -> bytes:
    given = request.headers.getall("Authorization", ())
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip(" ").encode(errors="surrogateescape") if scheme.lower() == "bearer" else b""


def _check_media(request: web.BaseRequest) -> None:
    media = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if media != "application/json" or encoding != "identity":
        message = "the body must be JSON, and not compressed"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)


async def _body(request: web.BaseRequest) -> bytes:
    """All of it, in time and within the limit."""
    body = bytearray()
    if (request.content_length or 0) > LARGEST:
        raise _too_large()
    try:
        async with asyncio.timeout(PATIENCE):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > LARGEST:
                    break
    except TimeoutError:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "timeout", "the body did not end in time") from None
    except Exception:  # what the library makes of a body that breaks off or is framed wrongly
        raise Refused(HTTPStatus.BAD_REQUEST, "malformed", "the body does not end as it says") from None
    if len(body) > LARGEST:
        raise _too_large()
    return bytes(body)


def _too_large() -> Refused:
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"the body is larger than {LARGEST} bytes")


def _notification(body: bytes) -> CanaryNotification:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # whose texts may quote the body
        message = "the body is not what Alertmanager's webhook sends"
        raise Refused(HTTPStatus.BAD_REQUEST, "bad_body", message) from None
