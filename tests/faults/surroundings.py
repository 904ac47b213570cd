"""What the tests of the process share: plugins of a few lines, and other ways to start the daemon."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.page import Page
from tests.faults.process import Daemon, until
from tests.faults.scene import Config, Scene
from tests.programs import program

ERRORS = "platform_exporter_collector_errors_total"

# What these plugins begin with: a collector of one gauge, and what the control file tells it to do.
PLUGIN = """
import logging, mmap, os, signal, socket, subprocess, threading, time
from exporter.config.schema import CollectorOptions as Options
from exporter.model.metric import Family, Result, Samples
from hostile import mood_of

class Collector:
    blocking = False

    def __init__(self):
        self.kept = []

    @property
    def name(self):
        return NAME

    @property
    def families(self):
        return (Family(f"{NAME}_value", "A value."),)

    @property
    def mood(self):
        return mood_of(NAME).partition(":")

    def collect(self, run):
        return Result((Samples.of(self.families[0], float(self.act() or 0)),))

def build(options, parts):
    return Mine()
"""


def plugins(scene: Scene, sources: dict[str, str], *hostile: str) -> Config:
    """A configuration with these plugins, each the body of a class, and with hostile ones."""
    config = scene.config(*hostile)
    for name, body in sources.items():
        lines = "\n".join("    " + line for line in body.strip().splitlines())
        (scene.site / f"plugin_{name}.py").write_text(f"{PLUGIN}\nNAME = {name!r}\n\nclass Mine(Collector):\n{lines}\n")
    scene.offer({name: f"hostile:{name}" for name in ("well", *hostile)} | {n: f"plugin_{n}" for n in sources})
    config["plugins"] += list(sources)
    return config


def under(monkeypatch: pytest.MonkeyPatch, scene: Scene, command: str = "", redirected: str = "") -> None:
    """Has the daemon started by a command, or with its streams redirected."""
    script = scene.folder / "interpreter"
    script.write_text(f'#!/bin/sh\nexec {command} {sys.executable} "$@" {redirected}\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def start_unheard(scene: Scene, config: Config) -> Daemon:
    """Starts a daemon whose log cannot be read."""
    scene.write(config)
    daemon = scene.daemon = scene.spawn(f"--config.file={scene.file}")
    daemon.port = int(scene.address.rpartition(":")[2])
    until(lambda: ready(daemon), 20.0, "the daemon is ready")
    scene.cycles(2)
    return daemon


def ready(daemon: Daemon) -> bool:
    assert daemon.process.poll() is None, f"ended with {daemon.process.returncode}: {daemon.log()}"
    with suppress(OSError, http.client.HTTPException):
        return daemon.get("/-/ready").status == 200
    return False


def simple(scene: Scene) -> Config:
    """No plugin of ours, as they leave marks in the file system."""
    config = scene.config()
    config["plugins"] = []
    del config["collectors"]["well"]
    return config


def superuser() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may change what this needs to change")


def counted(page: Page) -> float:
    return page.own("collection_duration_seconds_count")


def limited(page: Page, name: str) -> float:
    return page.own("collector_errors_total", collector=name, reason="limit")


def lost(page: Page) -> float:
    return page.own("log_dropped_total")


def waited_for_the_processor(pid: int) -> float:
    """For how long other processes had what this one wanted, in seconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def turned(monkeypatch: pytest.MonkeyPatch, scene: Scene) -> Callable[[int], None]:
    """Gives the daemon a wall clock of its own; returns what sets by how many seconds it is wrong a second later."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        program("faketime")
    offset = scene.folder / "offset"

    def turn(seconds: int) -> None:
        fresh = offset.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(offset)

    turn(0)
    settings = f"FAKETIME_TIMESTAMP_FILE={offset} FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1"
    under(monkeypatch, scene, f"env LD_PRELOAD={found[0]} {settings}")
    return turn
