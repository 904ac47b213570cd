"""YAML text to a tree of nodes, within limits that hold before anything is built.

Built from the parser's events rather than with its composer and constructor: depth, size and aliases are bounded while
reading, no tag ever constructs anything, and every value keeps its text, because YAML 1.1 turns `NO` and `1:30` into
something the writer did not mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import yaml

DEEPEST = 50
MOST_NODES = 100_000
MOST_ALIASED_NODES = 10_000

_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_resolve: Callable[..., str] = yaml.resolver.Resolver().resolve
_STANDARD = "tag:yaml.org,2002:"
_FORBIDDEN_CHARACTER = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


# What the parser was at when it failed far from where the mistake is: a quote that is never closed ends with the file.
_FROM_ITS_START = ("simple key", "quoted scalar")


class Malformed(Exception):
    """The text cannot be read as one bounded YAML document. Positions count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


@dataclass(slots=True, eq=False)
class Node:
    """A scalar with its text, a list, or a mapping as pairs. `start` and `end` are offsets into the text.

    `quoted` says that the writer left no doubt about the type: by quotes, as a block text, or by a tag.
    """

    value: str | list[Node] | list[tuple[Node, Node]]
    tag: str
    quoted: bool
    line: int
    column: int
    start: int
    end: int
    size: int = 1
    height: int = 1

    @property
    def empty(self) -> bool:
        """Whether nothing was written here, which YAML reads as null."""
        return self.value == "" and not self.quoted


def read(text: str) -> Node | None:
    """The root of the only document in the text; None if there is none."""
    text = text.removeprefix("\ufeff")
    if bad := _FORBIDDEN_CHARACTER.search(text):
        before = text[: bad.start()]
        line = before.count("\n") + 1
        raise Malformed("a character that YAML does not allow", line, bad.start() - before.rfind("\n"))
    try:
        return _Builder(yaml.parse(text, Loader=_Loader)).document()
    except yaml.YAMLError as error:
        context = str(getattr(error, "context", ""))
        mark = getattr(error, "context_mark" if context.endswith(_FROM_ITS_START) else "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise Malformed(_syntax(str(getattr(error, "problem", "")), text, line, column), line, column) from None


class _Builder:
    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, Node | None] = {}
        self._nodes = 0
        self._aliased = 0

    def document(self) -> Node | None:
        root = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise _malformed("a second document begins here: keep one", event)
                root = self._node(next(self._events), 1)
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _malformed("too many values", event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        if depth > DEEPEST:
            raise _malformed(f"nested deeper than {DEEPEST} levels", event)
        anchor = event.anchor  # type: ignore[attr-defined]  # every event that begins a node has one
        if anchor is not None:
            self._anchors[anchor] = None
        node = _scalar(event) if isinstance(event, yaml.ScalarEvent) else self._collection(event, depth)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent, depth: int) -> Node:
        if event.anchor not in self._anchors:
            raise _malformed("an alias of an anchor that does not exist", event)
        node = self._anchors[event.anchor]
        if node is None:
            raise _malformed("an alias inside the value it stands for", event)
        # Each use is a copy to whoever reads the tree: nine lines of nine aliases each would be a billion values.
        self._aliased += node.size
        if self._aliased > MOST_ALIASED_NODES:
            raise _malformed("aliases expand to too many values", event)
        if depth + node.height - 1 > DEEPEST:
            raise _malformed(f"nested deeper than {DEEPEST} levels", event)
        return node

    def _collection(self, event: yaml.Event, depth: int) -> Node:
        if isinstance(event, yaml.SequenceStartEvent):
            items = list(self._children(yaml.SequenceEndEvent, depth))
            return _collection(event, items, items, "seq")
        assert isinstance(event, yaml.MappingStartEvent)
        flat = list(self._children(yaml.MappingEndEvent, depth))
        return _collection(event, list(zip(flat[::2], flat[1::2], strict=True)), flat, "map")

    def _children(self, end: type[yaml.Event], depth: int) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield self._node(event, depth + 1)


def _scalar(event: yaml.ScalarEvent) -> Node:
    quoted = bool(event.style) or event.tag is not None
    tag = event.tag or (_STANDARD + "str" if quoted else _resolve(yaml.ScalarNode, event.value, (True, False)))
    return _placed(event, event.value, tag, quoted)


def _collection(
    event: yaml.CollectionStartEvent, value: list[Node] | list[tuple[Node, Node]], nodes: list[Node], kind: str
) -> Node:
    node = _placed(event, value, event.tag or _STANDARD + kind, False)
    node.size += sum(child.size for child in nodes)
    node.height += max((child.height for child in nodes), default=0)
    return node


def _placed(event: yaml.Event, value: str | list[Node] | list[tuple[Node, Node]], tag: str, quoted: bool) -> Node:
    start, end = event.start_mark, event.end_mark
    assert start is not None
    assert end is not None
    return Node(value, tag.removeprefix(_STANDARD), quoted, start.line + 1, start.column + 1, start.index, end.index)


def _malformed(message: str, event: yaml.Event) -> Malformed:
    mark = event.start_mark
    assert mark is not None
    return Malformed(message, mark.line + 1, mark.column + 1)


# The parser's own texts quote names and values of the file. The first fragment found decides.
_SYNTAX = (
    (
        "mapping values are not allowed",
        "a colon that begins a mapping inside a value: quote the value, or check the indentation",
    ),
    ("block sequence entries are not allowed", "a list item where none can stand: check the indentation"),
    ("',' or ']'", "a list in brackets lacks a comma or its closing bracket"),
    ("',' or '}'", "a mapping in braces lacks a comma or its closing brace"),
    ("expected ':'", "a key without a colon and a space behind it"),
    ("end of stream", "a quoted text without its closing quote"),
    ("document indicator", "a quoted text without its closing quote"),
    ("escape", "an escape in double quotes that does not exist: use single quotes"),
    ("expected key", "expected a key: check indentation and quotes"),
    ("block end", "expected a key: check indentation and quotes"),
    ("'-' indicator", "expected a list item: check the indentation"),
    ("document start", "text behind the end of the document: check indentation and quotes"),
    ("directive", "a line that begins with %: quote the value"),
    ("tag", "a tag that is not legal: quote a value that begins with !"),
    ("alphabetic or numeric", "an anchor or alias that is not legal: quote a value that begins with & or *"),
    ("anchor", "an anchor or alias that is not legal: quote a value that begins with & or *"),
    ("alias", "an anchor or alias that is not legal: quote a value that begins with & or *"),
    ("comment or line break", "a block text (| or >) that does not begin as one must: check its first line"),
)


def _syntax(problem: str, text: str, line: int, column: int) -> str:
    rows = text.splitlines()
    here = rows[line - 1][column - 1 : column] if line <= len(rows) else ""
    if "cannot start any token" in problem:
        return "a tab: indent with spaces" if here == "\t" else "a value begins with @, ` or %: put quotes around it"
    for fragment, message in _SYNTAX:
        if fragment in problem:
            unquoted = fragment.startswith("',' or") and "${" in "".join(rows[max(0, line - 2) : line])
            return f"{message}; ${{…}} inside brackets or braces needs quotes" if unquoted else message
    return "not valid YAML"
