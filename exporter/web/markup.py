"""HTML that escapes by construction: text is text unless a tag was made of it."""

from __future__ import annotations

from html import escape


class Html(str):
    """Markup that is finished: it goes into a page as it is. Made by the functions below and of files of our own."""

    __slots__ = ()


Child = str | None
_VOID = frozenset({"link", "meta"})


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Html:
    """An element. None and False leave a child or an attribute out; `class_` and `data_x` give `class` and `data-x`."""
    opened = "".join([_attribute(key, value) for key, value in attributes.items()])
    if name in _VOID:
        return Html(f"<{name}{opened}>")
    return Html(f"<{name}{opened}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Children one after the other."""
    return Html("".join([child if isinstance(child, Html) else escape(child) for child in children if child]))


def _attribute(key: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
