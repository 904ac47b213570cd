"""Which figures are asked for: a filter, groups, a part of the list, a format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aiohttp import web

from exporter.publishing.document import TYPES
from exporter.publishing.integrations import ENDPOINTS
from exporter.publishing.statistics import TargetStanding
from exporter.publishing.verdict import HealthState
from exporter.web.route import Parameter
from exporter.web.selection import bad, number, one

_FORMAT = Parameter("format", "json, or prometheus for text that can be scraped")
ONE_PARAMETERS = (_FORMAT,)
PARAMETERS = (
    Parameter("filter", "type:… or status:…: only targets of this type, or in this state"),
    Parameter("group_by", "type, status or target"),
    Parameter("limit", "at most so many targets"),
    Parameter("offset", "without the first so many"),
    _FORMAT,
)
_GROUPS = ("type", "status", "target")
# Of a target that is published to without being configured here.
_NO_TYPE = "unconfigured"


class StatsQuery(NamedTuple):
    """What was asked for; None: all of them."""

    type: str | None
    status: str | None
    group_by: str | None
    limit: int | None
    offset: int

    @classmethod
    def of(cls, request: web.BaseRequest) -> StatsQuery:
        """What the query says; refuses what it cannot mean."""
        key, colon, value = (one(request, "filter") or "").partition(":")
        if (key or colon) and (key not in ("type", "status") or not value):
            raise bad("filter", "is type:… or status:…")
        if key == "status" and value not in list(HealthState):
            raise bad("filter", f"knows these states: {', '.join(HealthState)}")
        return cls(
            type=value if key == "type" else None,
            status=value if key == "status" else None,
            group_by=one(request, "group_by", _GROUPS),
            limit=number(request, "limit"),
            offset=number(request, "offset") or 0,
        )

    def of_all(self, targets: Sequence[TargetStanding]) -> list[TargetStanding]:
        """The targets that fit exactly; refuses a type that there is not."""
        known = {*TYPES, *ENDPOINTS, *(_type(target) for target in targets)}
        if self.type is not None and self.type not in known:
            raise bad("filter", f"knows these types: {', '.join(sorted(known))}")
        return [
            target
            for target in targets
            if self.type in (None, _type(target)) and self.status in (None, target.state.value)
        ]

    def groups(self, fitting: Sequence[TargetStanding]) -> dict[str, list[TargetStanding]]:
        """The same by what they are to be grouped by; none if by nothing."""
        found: dict[str, list[TargetStanding]] = {}
        for target in fitting if self.group_by else ():
            by = {"type": _type(target), "status": target.state.value, "target": target.name}
            found.setdefault(by[self.group_by or ""], []).append(target)
        return found

    def page(self, fitting: Sequence[TargetStanding]) -> Sequence[TargetStanding]:
        """The part of these that is asked for."""
        return fitting[self.offset :] if self.limit is None else fitting[self.offset : self.offset + self.limit]


def wants_text(request: web.BaseRequest) -> bool:
    """Whether the answer is to be text for Prometheus."""
    return one(request, "format", ("json", "prometheus")) == "prometheus"


def _type(target: TargetStanding) -> str:
    return target.type or _NO_TYPE
