"""Which objects a list or a watch is about, and a list in pages."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from tests.fakes.kubernetes.objects import Stored
from tests.fakes.kubernetes.selectors import Matches, field_selector, label_selector
from tests.fakes.kubernetes.store import Expired, Store

# A token that goes on in whatever is there now: handed out with the error when the first page's version is gone.
LATEST = -1


@dataclass(frozen=True)
class Selection:
    resource: str
    namespace: str
    by_label: Matches
    by_field: Matches
    narrowed: bool

    @classmethod
    def of(cls, resource: str, namespace: str, query: Mapping[str, str]) -> Selection:
        """What a query selects; an empty namespace stands for all of them."""
        labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
        return cls(resource, namespace, label_selector(labels), field_selector(fields), bool(labels or fields))

    def takes(self, stored: Stored | None) -> bool:
        """Whether an object is among the selected; none is not."""
        return (
            stored is not None
            and stored.key.resource == self.resource
            and self.namespace in ("", stored.key.namespace)
            and self.by_label(stored.labels)
            and self.by_field(stored.fields)
        )


class Token(msgspec.Struct):
    """Where the next page begins: after this object, at this version."""

    rv: int
    start: tuple[str, str]

    def encode(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode()

    @classmethod
    def decode(cls, text: str) -> Token:
        """Raises ValueError for what is not one of ours."""
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(text), type=cls)
        except msgspec.DecodeError as error:
            raise ValueError("continue key is not valid") from error


class PageExpired(Exception):
    """The list cannot be continued consistently; `token` continues it inconsistently."""

    def __init__(self, token: str) -> None:
        super().__init__("the continue token is too old: list again, or take the token given here")
        self.token = token


@dataclass(frozen=True)
class Page:
    items: list[Stored]
    version: int
    token: str = ""
    remaining: int | None = None


def page(store: Store, selection: Selection, limit: int, token: str, version: int | None) -> Page:
    """One page of a list; without a limit, all of it. The version is that of the first page."""
    after = None
    if token:
        went = Token.decode(token)
        after, version = went.start, None if went.rv == LATEST else went.rv
    version = store.version if version is None else version
    try:
        objects = store.at(version)
    except Expired as old:
        raise (PageExpired(Token(LATEST, after).encode()) if after else old) from None
    found = [each for each in objects if selection.takes(each) and (after is None or _place(each) > after)]
    if not limit or len(found) <= limit:
        return Page(found, version)
    more = Token(version, _place(found[limit - 1])).encode()
    # The real server does not count what it would have to look through.
    remaining = None if selection.narrowed else len(found) - limit
    return Page(found[:limit], version, more, remaining)


def _place(stored: Stored) -> tuple[str, str]:
    return stored.key.namespace, stored.key.name
