"""The layout's rules, checked on the sources: who may import whom, and what may be called where.

Each rule is a function from source text to complaints, so that it can be shown to catch what it is for.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parent.parent
OURS = "exporter"

# Package: what it may import of ours besides itself and instruments. A module on the top level is a package here.
ARROWS: dict[str, frozenset[str]] = {
    "model": frozenset(),
    "instruments": frozenset({"model"}),
    "publishing": frozenset({"model"}),
    "usage": frozenset({"model"}),
    "config": frozenset({"model", "publishing", "usage"}),
    "sources": frozenset({"model", "config", "publishing", "usage"}),
    "collectors": frozenset({"model", "config", "sources", "publishing", "usage"}),
    "engine": frozenset({"model", "config"}),
    "exposition": frozenset({"model"}),
    "history": frozenset({"model", "publishing", "usage"}),
    "sinks": frozenset({"model", "config"}),
    "report": frozenset({"model", "history"}),
    "web": frozenset({"model", "config", "exposition", "history", "publishing", "usage", "report"}),
}
COMPOSITION = frozenset({"app", "cli", "demo", "__main__", "__init__"})  # may import all

# Third-party package, or a module of the standard library with a place of its own: the files or folders it may be
# imported in. What is not listed is not a dependency.
PLACES: dict[str, tuple[str, ...]] = {
    "aiohttp": ("sources", "sinks", "web", "demo"),
    "bcrypt": ("web/auth.py",),
    "cramjam": ("sinks",),
    "isal": ("exposition",),
    "kubernetes": ("sources/kubernetes/client.py",),
    "maxminddb": ("sources/geoip.py",),
    "multidict": ("web",),  # the type aiohttp's own interface takes for headers
    "msgspec": ("publishing", "usage", "sources", "exposition", "history", "web"),
    "prometheus_client": ("collectors/bridge.py", "exposition"),
    "pydantic": ("publishing", "usage", "config", "collectors"),
    "pydantic_core": ("config",),
    "sqlite3": ("history",),
    "subprocess": ("sources/command.py",),
    "uvloop": ("app", "app.py", "cli.py", "demo", "__main__.py"),
    "yaml": ("config",),
}
HALVES_OF_AIOHTTP = {"sources": "web", "sinks": "web", "web": "client"}  # the half a package has no business with

REVEALERS = (
    "sources/",
    "model/target.py",
    "model/secret.py",
    "instruments/log.py",
    "web/auth.py",  # hashes, compared with what a client sends
    "web/tls.py",  # the key of the listener
)
NAMELESS = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "misc"})
PUBLIC_ALTHOUGH_UNDERSCORED = frozenset({"_replace", "_asdict", "_fields", "_make", "_exit", "_current_frames"})
BESIDE_THE_MIRROR = frozenset({"fuzz", "contract", "golden", "fakes", "faults", "e2e", "benchmarks"})

Check = Callable[[str, str], Iterator[str]]


def package_of(path: str) -> str:
    """`sources` for sources/probe.py, `cli` for cli.py."""
    return PurePosixPath(path).parts[0].removesuffix(".py")


def imports(path: str, tree: ast.AST) -> Iterator[str]:
    """Every module, or name in a module, that a file imports, wherever in it that stands."""
    folder = [OURS, *PurePosixPath(path).parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def arrows(path: str, source: str) -> Iterator[str]:
    """Imports of ours that the layout does not allow."""
    package = package_of(path)
    if package in COMPOSITION:
        return
    for name in imports(path, ast.parse(source)):
        parts = name.split(".")
        if parts[0] == OURS and len(parts) > 1 and parts[1] not in {package, "instruments"} | ARROWS[package]:
            yield f"{package} must not import {parts[1]}"


def places(path: str, source: str) -> Iterator[str]:
    """Imports from outside, where they have no place."""
    for name in imports(path, ast.parse(source)):
        top, _, rest = name.partition(".")
        allowed = PLACES.get(top, ())
        if top == OURS or (top in sys.stdlib_module_names and top not in PLACES):
            continue
        if not any(path == place or path.startswith(f"{place}/") for place in allowed):
            yield f"{top} has no place here"
        elif top == "aiohttp" and rest.lower().startswith(HALVES_OF_AIOHTTP.get(package_of(path), "?")):
            yield f"{name} belongs to the other half of aiohttp"


def reveals(path: str, source: str) -> Iterator[str]:
    """Secrets read elsewhere than where they are sent to the remote they belong to."""
    if path.startswith(REVEALERS):
        return
    for node in ast.walk(ast.parse(source)):
        by_name = isinstance(node, ast.Constant) and node.value == "reveal"
        if by_name or (isinstance(node, ast.Attribute) and node.attr == "reveal"):
            yield "a secret must not be revealed here"


def prints(path: str, source: str) -> Iterator[str]:
    """Output past the log."""
    if path == "cli.py":
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield "only cli.py prints"


def nameless(path: str, source: str) -> Iterator[str]:
    """Modules and folders that are named after nothing."""
    for part in PurePosixPath(path).parts:
        if part.removesuffix(".py") in NAMELESS:
            yield f"{part} says nothing about what is in it"


def privates(path: str, source: str) -> Iterator[str]:
    """Private names of another module, whether imported or reached for through an object."""
    tree = ast.parse(source)
    for name in imports(path, tree):
        if name.startswith(f"{OURS}.") and any(is_private(part) for part in name.split(".")):
            yield f"{name} is private"
    own = set(own_names(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not is_private(node.attr) or node.attr in own:
            continue
        if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
            yield f"{ast.unparse(node)} is private"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in PUBLIC_ALTHOUGH_UNDERSCORED


def own_names(tree: ast.AST) -> Iterator[str]:
    """Names a module defines anywhere: functions, classes, class fields, slots, attributes of self."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value  # __slots__


def sentences(path: str, source: str) -> Iterator[str]:
    """Tests whose names do not say what is true if they pass."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith("test_"):
            continue
        if len([word for word in node.name.split("_")[1:] if word]) < 3:
            yield f"{node.name} is not a sentence"


def files(folder: str) -> list[str]:
    root = ROOT / folder
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.py"))


def complaints(check: Check, folder: str = OURS) -> list[str]:
    """What a rule finds in all files of a folder."""
    root = ROOT / folder
    return [f"{folder}/{path}: {text}" for path in files(folder) for text in check(path, (root / path).read_text())]


@pytest.mark.parametrize(
    "check", [arrows, places, reveals, prints, nameless, privates], ids=lambda check: str(check.__name__)
)
def test_no_source_file_breaks_the_rule(check: Check) -> None:
    assert complaints(check) == []


def test_every_test_name_is_a_sentence() -> None:
    assert complaints(sentences, "tests") == []


def test_every_package_has_its_arrows_stated() -> None:
    packages = {package_of(path) for path in files(OURS)}
    assert packages - ARROWS.keys() - COMPOSITION == set()


def test_the_folders_of_the_tests_mirror_the_package() -> None:
    mirrored = {path.split("/")[0] for path in files(OURS) if "/" in path}
    folders = {path.split("/")[0] for path in files("tests") if "/" in path}
    assert folders - mirrored - BESIDE_THE_MIRROR == set()
    assert [name for name in mirrored if not list((ROOT / "tests" / name).glob("test_*.py"))] == []


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {(ROOT / "tests" / path).parent for path in files("tests")}
    assert [folder.name for folder in folders if not (folder / "__init__.py").exists()] == []


def test_at_most_one_source_file_runs_commands_and_one_talks_to_kubernetes() -> None:
    assert all(len(PLACES[name]) == 1 and PLACES[name][0].endswith(".py") for name in ("subprocess", "kubernetes"))


@pytest.mark.parametrize(
    ("check", "path", "source"),
    [
        (arrows, "model/a.py", "from exporter.config.schema import Config"),
        (arrows, "model/a.py", "from exporter import config"),
        (arrows, "model/a.py", "import exporter.config.schema"),
        (arrows, "model/a.py", "from ..config import schema"),
        (
            arrows,
            "engine/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from exporter.web.site import Site",
        ),
        (arrows, "engine/a.py", "def late():\n    import exporter.web.site"),
        (arrows, "engine/a.py", "import importlib\nimportlib.import_module('exporter.web.site')"),
        (arrows, "web/a.py", "import exporter.sources.probe"),
        (arrows, "publishing/a.py", "from exporter.config.types import Duration"),
        (places, "engine/a.py", "import aiohttp"),
        (places, "collectors/health.py", "from prometheus_client import Gauge"),
        (places, "collectors/a.py", "import requests"),
        (places, "web/a.py", "import sqlite3"),
        (places, "sources/probe.py", "import subprocess"),
        (places, "sources/probe.py", "from kubernetes import aio"),
        (places, "sources/a.py", "from aiohttp import web"),
        (places, "web/a.py", "from aiohttp import ClientSession"),
        (places, "web/a.py", "import aiohttp.client_reqrep"),
        (reveals, "web/a.py", "target.url.reveal()"),
        (reveals, "model/secret_store.py", "read = secret.reveal"),
        (reveals, "collectors/a.py", "getattr(secret, 'reveal')()"),
        (prints, "engine/a.py", "print('here')"),
        (nameless, "engine/utils.py", ""),
        (nameless, "common/engine.py", ""),
        (privates, "engine/a.py", "from exporter.model.metric import _flatten"),
        (privates, "engine/a.py", "from exporter.model import metric\nmetric._flatten(1)"),
        (privates, "engine/a.py", "self._feed._swap()"),
        (sentences, "test_a.py", "def test_cycle(): ..."),
        (sentences, "test_a.py", "class TestCycle:\n    async def test_it_works(self): ..."),
    ],
)
def test_each_rule_catches_what_it_is_for(check: Check, path: str, source: str) -> None:
    assert len(list(check(path, source))) == 1


@pytest.mark.parametrize(
    ("check", "path", "source"),
    [
        (
            arrows,
            "engine/a.py",
            "import asyncio\nfrom exporter.engine.feed import Feed\nfrom exporter.model import metric",
        ),
        (arrows, "model/a.py", "from exporter.instruments.meter import Meter"),
        (arrows, "cli.py", "from exporter.web.server import Server"),
        (arrows, "engine/a.py", "from . import feed\nfrom .feed import Feed"),
        (places, "collectors/bridge.py", "import prometheus_client"),
        (places, "web/a.py", "from aiohttp import web\nimport json"),
        (places, "sources/a.py", "import aiohttp\nfrom aiohttp.abc import AbstractResolver"),
        (reveals, "sources/probe.py", "target.url.reveal()"),
        (prints, "cli.py", "print('here')"),
        (
            privates,
            "engine/a.py",
            "class A:\n    def __init__(self):\n        self._b = 1\n    def c(self, other):\n        other._b",
        ),
        (
            privates,
            "engine/a.py",
            "class A:\n    __slots__ = ('_b',)\ndef c(a):\n    return a._b, a._replace(), a.__dict__",
        ),
        (sentences, "test_a.py", "def test_a_cycle_ends(): ...\ndef helper(): ..."),
    ],
)
def test_each_rule_lets_pass_what_is_fine(check: Check, path: str, source: str) -> None:
    assert list(check(path, source)) == []
