"""One line of the table that router, metric labels and API description are made from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter."""

    name: str
    description: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One way a route can answer; without a type the body is text."""

    description: str
    media: tuple[str, ...]
    schema: type[msgspec.Struct] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """A path, how it is called and what it answers. A stream lasts as long as its reader, so it is not timed."""

    path: str
    name: str
    summary: str
    handler: Handler
    answers: dict[int, Answer]
    method: str = "GET"
    parameters: tuple[Parameter, ...] = ()
    stream: bool = False
