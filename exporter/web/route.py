"""One line of the table that router, metric labels and API description are made from."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec
from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_VALUES = web.RequestKey("path_values", dict[str, str])
_NAMES = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter."""

    name: str
    description: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One way a route can answer; without a type the body is text. `listed`: it is a list of that type."""

    description: str
    media: tuple[str, ...]
    schema: type[msgspec.Struct] | None = None
    listed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """A path, how it is called and what it answers. A stream lasts as long as its reader, so it is not timed.

    A segment `{name}` of the path stands for any text; the handler gets it from `path_value`. A body is refused unless
    its type is stated, and a login is needed unless the handler asks for a `token` of its own.
    """

    path: str
    name: str
    summary: str
    handler: Handler
    answers: dict[int, Answer]
    method: str = "GET"
    parameters: tuple[Parameter, ...] = ()
    stream: bool = False
    body: type[msgspec.Struct] | None = None
    token: bool = False

    @property
    def path_names(self) -> tuple[str, ...]:
        """The names of the segments that stand for any text."""
        return tuple(_NAMES.findall(self.path))


def keep_path_values(request: web.BaseRequest, values: Mapping[str, str]) -> None:
    """Keeps what the path of a request says for its handler."""
    request[_VALUES] = dict(values)


def path_value(request: web.BaseRequest, name: str) -> str:
    """What a request has in the place of `{name}`, decoded once."""
    return request[_VALUES][name]
