"""The event loop of the process."""

from __future__ import annotations

import asyncio
import logging
import sys

import pytest

from exporter.app.loop import run_loop


async def name_of_the_loop() -> str:
    return type(asyncio.get_running_loop()).__module__


def test_the_fastest_loop_there_is_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvloop is used when it is installed, and never needed."""
    assert run_loop(name_of_the_loop).startswith("uvloop")
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run_loop(name_of_the_loop).startswith("asyncio")


def test_a_forgotten_error_is_told_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """What nobody caught may quote anything."""

    async def forget() -> None:
        def fail() -> None:
            raise ValueError("https://hooks.example.org/canary")

        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR):
        run_loop(forget)
    assert "unhandled error" in caplog.text
    assert caplog.records[0].fields == {"exception": "ValueError"}  # type: ignore[attr-defined]
    assert "canary" not in caplog.text


def test_a_task_that_raises_system_exit_does_not_end_the_work() -> None:
    """The loop lets such an exception through, whoever raised it."""

    async def go_on() -> str:
        async def leave() -> None:
            sys.exit(3)

        task = asyncio.create_task(leave())
        await asyncio.wait([task])
        assert isinstance(task.exception(), SystemExit)
        return "went on"

    assert run_loop(go_on) == "went on"


def test_what_the_work_raises_is_raised() -> None:
    """So that the command line can map it to an exit code."""

    async def fail() -> None:
        raise OSError("no such address")

    with pytest.raises(OSError, match="no such address"):
        run_loop(fail)
