"""The README and the code say the same."""

from __future__ import annotations

import argparse
import asyncio
import re
from pathlib import Path

from exporter import cli
from exporter.app.daemon import Daemon
from exporter.app.settings import Flags
from exporter.exposition.process import ProcessMetrics
from exporter.model.metric import Family
from exporter.model.reason import Drop, Outcome, Reason, Storage
from exporter.web.events import Events
from exporter.web.routes import table

README = (Path(__file__).parents[1] / "README.md").read_text()


def section(title: str) -> str:
    """The text under a heading, up to the next of its kind."""
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def families() -> list[Family]:
    """Everything that can be on a page of the daemon on its defaults, with a service to watch."""

    async def declared() -> list[Family]:
        daemon = Daemon(Flags(alertmanager_url="http://127.0.0.1:9093"), {})
        entries = daemon._assembly.plan.entries
        return [*(family for entry in entries for family in entry.collector.families or ()), *daemon._meter.families]

    found = asyncio.run(declared())
    return [*found, *(samples.family for samples in ProcessMetrics().collect())]


def test_the_table_of_series_is_that_of_the_code() -> None:
    """Every family stands in the README with its type and labels, and nothing else does."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", section("Series"), re.M)
    documented = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert documented == {family.name: (str(family.kind), family.labels) for family in families()}


def test_the_table_of_paths_is_that_of_the_router() -> None:
    """Every route stands in the README with its method, and nothing else does."""

    async def routes() -> set[tuple[str, str]]:
        daemon = Daemon(Flags(), {})
        site = daemon._site(daemon._settings.config)
        return {(route.method, route.path) for route in table(site, Events(site))}

    documented = set(re.findall(r"^\| (GET|POST) `([^`?]+)` \|", section("Paths"), re.M))
    assert documented == asyncio.run(routes())


def test_the_closed_sets_are_complete() -> None:
    """Whoever writes an alert finds every outcome and reason."""
    text = section("Series")
    for word in (*Outcome, *Reason, *Drop, *Storage):
        assert f"`{word}`" in text


def test_every_sentence_about_flags_is_true() -> None:
    """Each flag the README names is one the command takes."""
    parser = cli._parser()
    known = re.findall(r"--[a-z.-]+", "".join(action.format_help() for action in cli_subparsers(parser)))
    known += ["--collector.NAME", "--no-collector.NAME", "--[no-]collector.NAME"]
    for flag in re.findall(r"`(--[\w.\[\]-]+)`", section("Running it")):
        assert flag in known, flag


def cli_subparsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """The parsers of the commands."""
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return list(found[0].choices.values())


def test_the_collector_of_the_readme_is_under_forty_lines() -> None:
    """Adding one stays that small; that it works as written is tested with a real daemon."""
    code = re.findall(r"```python\n(.*?)```", section("Adding a collector"), re.S)[0]
    assert len(code.splitlines()) < 40
