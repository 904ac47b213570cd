"""Configurations the daemon must not start on: it says why, at once, and has touched nothing."""

from __future__ import annotations

import re
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import canary
from tests.faults.canary import CANARIES
from tests.faults.process import Daemon, free_port
from tests.faults.scene import Config, Scene

pytestmark = pytest.mark.slow

SECRET = CANARIES["mistake"]
WITHIN = 5.0  # of the process, imports and a busy machine included
USUAL_MEMORY = 90.0  # MiB that the imports take
MEMORY_GROWTH = 50.0


@dataclass
class Refusal:
    """How a process ended that should not have started."""

    code: int
    stderr: str
    stdout: str
    seconds: float
    memory: float
    bound: bool

    @property
    def lines(self) -> list[str]:
        return self.stderr.splitlines()


def observe(daemon: Daemon, port: int) -> Refusal:
    """Follows a process to its end, trying its port and measuring its memory all the way."""
    memory, bound = 0.0, False
    while daemon.process.poll() is None and time.monotonic() - daemon.began < 15:
        memory = max(memory, daemon.peak_rss())
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            bound = True
        time.sleep(0.005)
    seconds = time.monotonic() - daemon.began
    daemon.kill()
    return Refusal(daemon.process.returncode, daemon.log(), daemon.stdout.read_text(), seconds, memory, bound)


def refused(scene: Scene, content: Config | str | bytes | None, *, file: Path | None = None) -> Refusal:
    """Starts the daemon on a configuration that must be refused; checks what every refusal has to be."""
    port = free_port()
    if content is not None:
        scene.write(content)
    flags = (f"--config.file={file or scene.file}", f"--web.listen-address=127.0.0.1:{port}")
    seen = observe(scene.spawn(*flags), port)
    assert seen.code == 2, seen.stderr
    assert seen.seconds < WITHIN
    assert seen.memory < USUAL_MEMORY + MEMORY_GROWTH
    assert not seen.bound
    assert seen.lines
    assert "Traceback" not in seen.stderr
    assert not seen.stdout
    assert canary.hits("stderr", seen.stderr.encode()) == []
    return seen


def test_CFG1_a_missing_file_is_named(alone: Scene) -> None:
    file = alone.folder / "nowhere.yaml"
    seen = refused(alone, None, file=file)
    assert seen.lines == [f"{file}: cannot read the configuration: no such file"]


def test_CFG1_a_file_that_cannot_be_read_is_named(alone: Scene) -> None:
    folder = refused(alone, None, file=alone.site)
    assert folder.lines == [f"{alone.site}: cannot read the configuration: is a directory"]
    looped = alone.folder / "loop.yaml"
    looped.symlink_to(looped)
    seen = refused(alone, None, file=looped)
    assert seen.lines == [f"{looped}: cannot read the configuration: too many levels of symbolic links"]


def test_CFG2_a_syntax_error_is_placed_and_the_value_not_echoed(alone: Scene) -> None:
    seen = refused(alone, f'targets:\n  static:\n    - name: ops\n      url: "https://x/{SECRET}\n')
    assert re.match(rf"{alone.file}:4:\d+: .*closing quote", seen.lines[0])
    assert len(seen.lines) == 1


MISTAKES = f"""\
cyclee: {{interval: 1s}}
cycle: {{interval: -5s, timeout: 1m}}
targets:
  static:
    - {{name: OPS, type: pager, url: "{SECRET}"}}
collectors:
  health: {{timeout: 2h, concurrency: "many", unknown: {SECRET}}}
log: {{level: loud}}
"""


def test_CFG3_all_mistakes_are_listed_with_their_paths_and_check_config_says_the_same(alone: Scene) -> None:
    seen = refused(alone, MISTAKES)
    paths = {found[1] for line in seen.lines if (found := re.match(r".*?:\d+:\d+: ([^:]+): ", line))}
    assert paths >= {
        "cyclee",
        "cycle.interval",
        "targets.static[0].name",
        "targets.static[0].type",
        "targets.static[0].url",
        "collectors.health.timeout",
        "collectors.health.concurrency",
        "log.level",
    }
    checked = observe(alone.spawn("check-config", str(alone.file)), free_port())
    assert (checked.code, checked.stderr) == (2, seen.stderr)


def test_CFG4_duplicate_keys_are_refused_naming_both_lines(alone: Scene) -> None:
    seen = refused(alone, f"log:\n  level: info\ncycle: {{}}\nlog:\n  level: {SECRET}\n")
    assert seen.lines == [f"{alone.file}:4:1: log: duplicate key: line 1 has it already"]


TRAPS = """\
metric_prefix: NO
cycle: {interval: 12:30:00, timeout: 1_000}
collectors: {health: {concurrency: 010, unhealthy_after: 1e3, window: 2024-01-01}}
"""


def test_CFG5_what_yaml_reads_otherwise_than_the_eye_is_refused_with_a_hint_to_quote(alone: Scene) -> None:
    seen = refused(alone, TRAPS)
    assert len(seen.lines) == 6
    for line, words in zip(seen.lines, ("boolean", "base 60", "the _", "octal", "exponent", "date"), strict=True):
        assert words in line
        assert "quotes" in line


def test_CFG6_a_tag_executes_nothing(alone: Scene) -> None:
    mark = alone.folder / "executed"
    for tag in ("!!python/object/apply:os.system", "!!python/object/new:os.system", "!!python/object/apply:os.mkdir"):
        seen = refused(alone, f'metric_prefix: {tag} ["touch {mark}"]\n')
        assert len(seen.lines) == 1
        assert "tags" in seen.lines[0]
    assert not mark.exists()


ALIASES = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
BOMBS: dict[str, tuple[str | bytes, str]] = {
    "an alias bomb": (ALIASES, "aliases expand to too many values"),
    "depth": ("log: " + "[" * 5000, "nested deeper than"),
    "depth of mappings": ("log: " + "{a: " * 5000, "nested deeper than"),
    "an alias of itself": ("log: &a [*a]\n", "alias inside the value"),
    "fifty megabytes": ("log: {level: info} #" + "x" * 50_000_000, "larger than"),
    "a NUL": (f"log: {{level: info}}\0 # {SECRET}", "character that YAML does not allow"),
    "two documents": ("log: {level: info}\n---\nlog: {level: info}\n", "second document"),
    "nothing": ("", "empty"),
    "no text": (b"log: \xff\xfe\n", "not UTF-8"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_CFG7_a_bomb_is_refused_in_one_line(alone: Scene, bomb: str) -> None:
    content, words = BOMBS[bomb]
    seen = refused(alone, content)
    assert len(seen.lines) == 1
    assert words in seen.lines[0]
    assert "recursion" not in seen.lines[0].lower()


def test_CFG8_unset_variables_and_unusable_secret_files_are_all_named(alone: Scene) -> None:
    (alone.folder / "empty").write_text("\n")
    config = alone.config()
    named = {"unset": {"url": "https://x/${NOT_SET_AT_ALL}"}}
    named |= {name: {"url_file": name} for name in ("missing", "site", "empty")}
    config["targets"]["static"] = [{"name": name, "type": "slack", **url} for name, url in named.items()]
    seen = refused(alone, config)
    assert len(seen.lines) == 4
    assert "NOT_SET_AT_ALL is not set" in seen.lines[0]
    for line, name, words in zip(
        seen.lines[1:], ("missing", "site", "empty"), ("no such file", "is a directory", "empty"), strict=True
    ):
        assert f"cannot read {alone.folder / name}: " in line
        assert words in line


def test_CFG8_the_newline_at_the_end_of_a_secret_file_is_no_part_of_it(scene: Scene) -> None:
    scene.start(scene.config())
    with scene.fault():
        page = scene.cycles(2)
        assert page.value("publishing_health_status", target="filed") == 1
    heads = [head for head in scene.receiver.heads if CANARIES["url_file"] in head]
    assert heads
    assert all(head.startswith(f"GET /{CANARIES['url_file']} HTTP/1.1\r\n") for head in heads)
    assert all(f"\r\nAuthorization: Bearer {CANARIES['headers_file']}\r\n" in head for head in heads)


@pytest.mark.parametrize(
    ("plugins", "words"),
    [
        (["illegal"], ["metric name 'illegal-name' is not legal", "label name 'a-b' is not legal"]),
        (["reserved"], ["label name '__x' is reserved"]),
        (["twin_1", "clash"], ["twin_shared{item, more} clashes with gauge twin_shared{item} of collectors.twin_1"]),
        (["own"], ["platform_exporter_collector_up", "of the daemon itself"]),
    ],
)
def test_CFG13_declarations_that_cannot_stand_on_a_page_are_refused(
    alone: Scene, plugins: list[str], words: list[str]
) -> None:
    seen = refused(alone, alone.config(*plugins))
    for word in words:
        assert any(word in line and f"collectors.{plugins[-1]}" in line for line in seen.lines), seen.stderr


def test_CFG13_a_prefix_that_begins_no_name_is_refused(alone: Scene) -> None:
    seen = refused(alone, alone.config() | {"metric_prefix": "1-bad"})
    assert "metric_prefix" in seen.lines[0]


def test_PROC1_a_stop_during_the_start_ends_it_with_zero(alone: Scene) -> None:
    alone.write(alone.config())
    early = False
    for delay in (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 0.8):
        daemon = alone.spawn(f"--config.file={alone.file}")
        while not daemon.catches(signal.SIGTERM):
            time.sleep(0.001)
        early |= "pydantic" not in Path(f"/proc/{daemon.pid}/maps").read_text()
        time.sleep(delay)
        assert daemon.stop() == 0, f"{delay} s after the handler was there"
        assert "Traceback" not in daemon.log()
    assert early, "the handler was never there before the heavy imports"
