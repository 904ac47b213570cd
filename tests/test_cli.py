"""The command line: what each command prints and with which code it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import __version__, cli
from tests.fakes.remote import answer, serve


def test_help_names_every_command_and_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer finds the way from --help alone."""
    with pytest.raises(SystemExit) as left:
        cli.run(["--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for word in ("serve", "demo", "once", "check-config", "config-schema", "SIGHUP", "exit codes", "examples"):
        assert word in text


def test_the_daemon_flags_are_those_of_serve(capsys: pytest.CaptureFixture[str]) -> None:
    """Every flag of the daemon is explained."""
    with pytest.raises(SystemExit):
        cli.run(["serve", "--help"])
    text = capsys.readouterr().out
    for flag in (
        "--config.file",
        "--web.listen-address",
        "--web.telemetry-path",
        "--web.external-url",
        "--web.route-prefix",
        "--web.config.file",
        "--web.enable-lifecycle",
        "--collector.disable-defaults",
        "--log.level",
        "--log.format",
        "--version",
    ):
        assert flag in text


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Name and version, on stdout."""
    with pytest.raises(SystemExit) as left:
        cli.run(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith(f"platform-exporter {__version__} (python ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense"], "--nonsense"),
        (["--web.listen"], "--web.listen"),  # no abbreviations: a new flag would change what an old script means
        (["serve", "--log.level=loud"], "--log.level"),
        (["check-config"], "F"),
        (["--web.listen-address=nowhere"], "127.0.0.1:9847"),
        (["--web.telemetry-path=metrics"], "expected a path such as /metrics"),
        (["--web.route-prefix=../x"], "expected a path"),
        (["--alertmanager.url=localhost:9093"], "the url must begin with http:// or https://"),
        (["--alertmanager.url=http://u:p@localhost:9093"], "must not carry a user or password"),
        (["--alertmanager.url=http://localhost:9093?x=1"], "the url must have no query"),
        (["--collector.ghost"], "--collector.ghost: no such collector; there are: health"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names what is wrong."""
    assert cli.run(arguments) == 2
    assert message in capsys.readouterr().err


def test_check_config_lists_every_mistake_of_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Good files are said to be fine, bad ones end with 2."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("log: {level: debug}")
    bad.write_text("log: {levl: debug}\ncycle: {interval: 15}")
    assert cli.run(["check-config", str(good)]) == 0
    assert capsys.readouterr().out == f"{good}: fine\n"
    assert cli.run(["check-config", str(good), str(bad)]) == 2
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 2
    assert f"{bad}:1:7: log.levl" in printed[0]
    assert "did you mean 'level'" in printed[0]
    assert f"{bad}:2:19: cycle.interval" in printed[1]


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a traceback."""
    assert cli.run(["--config.file", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_the_schema_is_json_with_the_collectors_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Editors complete and check with it."""
    assert cli.run(["config-schema"]) == 0
    assert "probe_timeout" in json.dumps(json.loads(capsys.readouterr().out))


def exporter(*arguments: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it."""
    return subprocess.run(
        [sys.executable, "-m", "exporter", *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )


async def test_once_prints_one_collection(tmp_path: Path) -> None:
    """The page goes to stdout, exit code 0; a failing target is data."""
    import asyncio

    async with serve(answer(200)) as remote:
        file = tmp_path / "exporter.yaml"
        file.write_text(f"targets: {{static: [{{name: a, type: webhook, url: '{remote.url()}'}}]}}")
        done = await asyncio.to_thread(exporter, "once", f"--config.file={file}")
        assert done.returncode == 0, done.stderr
        assert 'publishing_health_status{target="a",type="webhook"} 1.0' in done.stdout
        file.write_text("targets: {static: [{name: a, type: webhook, url: 'http://127.0.0.1:1'}]}")
        done = await asyncio.to_thread(exporter, "once", f"--config.file={file}")
        assert done.returncode == 0
        assert 'publishing_health_status{target="a",type="webhook"} 2.0' in done.stdout


def test_once_ends_with_1_when_a_collector_fails(tmp_path: Path) -> None:
    """A plugin that cannot be loaded is such a collector."""
    file = tmp_path / "exporter.yaml"
    file.write_text("plugins: [ghost]")
    done = exporter("once", f"--config.file={file}")
    assert done.returncode == 1
    assert 'platform_exporter_collector_errors_total{collector="ghost",reason="config"} 1.0' in done.stdout


def test_an_address_that_cannot_be_had_ends_with_1() -> None:
    """The message names it."""
    done = exporter("--web.listen-address=192.0.2.1:9")
    assert done.returncode == 1
    assert "192.0.2.1:9" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_is_no_crash() -> None:
    """`config-schema | head` is a common thing to do."""
    command = f"{sys.executable} -m exporter config-schema | head -c 10"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr == ""


def test_check_config_lists_the_mistakes_of_the_web_configuration_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with the file it is in."""
    (tmp_path / "c.yaml").write_text("web: {config_file: web.yml}")
    (tmp_path / "web.yml").write_text("basic_auth_users: {ann: secret}\nrate_limit: {}\n")
    assert cli.run(["check-config", str(tmp_path / "c.yaml")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{tmp_path}/web.yml:1:25: basic_auth_users.ann: expected a bcrypt hash")
    assert second.startswith(f"{tmp_path}/web.yml:2:1: rate_limit: not supported")


def test_the_demo_says_https_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed can be opened, and the receiver can be broken."""
    cli._welcome("https", ["127.0.0.1:1"], "http://127.0.0.1:2")
    printed = capsys.readouterr().out
    assert "https://127.0.0.1:1/metrics" in printed
    assert "curl -X POST http://127.0.0.1:2/-/break" in printed
