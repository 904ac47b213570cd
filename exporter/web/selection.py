"""Which targets of a list are asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import NamedTuple, Protocol, TypeVar

from aiohttp import web

from exporter.publishing.document import TYPES
from exporter.publishing.integrations import ENDPOINTS
from exporter.publishing.listing import ORIGINS
from exporter.web.answers import Refused
from exporter.web.route import Parameter

PARAMETERS = (
    Parameter("type", "only targets of this type"),
    Parameter("enabled", "true: only those that are switched on, false: only those that are not"),
    Parameter("origin", f"only targets from here: {', '.join(ORIGINS)}"),
    Parameter("limit", "at most so many"),
    Parameter("offset", "without the first so many"),
)


class Listed(Protocol):
    """What all targets have, whatever is told of them."""

    @property
    def type(self) -> str: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def origin(self) -> str: ...


T = TypeVar("T", bound=Listed)


class Selection(NamedTuple):
    """What was asked for; None: all of them."""

    type: str | None
    enabled: str | None
    origin: str | None
    limit: int | None
    offset: int

    @classmethod
    def of(cls, request: web.BaseRequest) -> Selection:
        """What the query says; refuses what it cannot mean."""
        return cls(
            type=one(request, "type"),
            enabled=one(request, "enabled", ("true", "false")),
            origin=one(request, "origin", ORIGINS),
            limit=number(request, "limit"),
            offset=number(request, "offset") or 0,
        )

    def of_all(self, targets: Sequence[T]) -> list[T]:
        """The targets that fit, wherever in the list they stand; refuses a type that there is not."""
        known = {*TYPES, *ENDPOINTS, *(target.type for target in targets)}
        if self.type is not None and self.type not in known:
            raise bad("type", f"is one of {', '.join(sorted(known))}")
        return [
            target
            for target in targets
            if self.type in (None, target.type)
            and self.origin in (None, target.origin)
            and self.enabled in (None, "true" if target.enabled else "false")
        ]

    def page(self, fitting: Sequence[T]) -> Sequence[T]:
        """The part of these that is asked for."""
        return fitting[self.offset :] if self.limit is None else fitting[self.offset : self.offset + self.limit]


def one(request: web.BaseRequest, name: str, known: Collection[str] = ()) -> str | None:
    """The value of a parameter that may be given once; refuses what is not known, if it says what is."""
    values = request.query.getall(name, [])
    if len(values) > 1:
        raise bad(name, "may be given once only")
    if values and known and values[0] not in known:
        raise bad(name, f"is one of {', '.join(known)}")
    return values[0] if values else None


def number(request: web.BaseRequest, name: str) -> int | None:
    """A whole number that may be given once."""
    value = one(request, name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise bad(name, "is a whole number")
    return int(value)


def bad(name: str, rule: str) -> Refused:
    """A parameter has a value that it cannot have."""
    return Refused(HTTPStatus.BAD_REQUEST, "bad_parameter", f"{name} {rule}")
