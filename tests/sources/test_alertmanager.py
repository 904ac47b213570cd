"""The configuration of an Alertmanager, from a file or a Secret."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from exporter.engine.threads import DaemonPool
from exporter.model.errors import Failure
from exporter.model.reason import Flaw, Reason
from exporter.publishing.listing import Listing
from exporter.sources import alertmanager
from exporter.sources.alertmanager import AlertmanagerFile, AlertmanagerSecret, fault_of

TEXT = """\
global: {slack_api_url_file: slack.url}
x-shared: &shared {send_resolved: yes}
receivers:
  - name: team
    slack_configs:
      - {<<: *shared, channel: x}
    webhook_configs:
      - {url: "https://user:s3cr3t@hooks.example.org/x"}
  - name: void
"""


def in_file(folder: Path, content: bytes | str = TEXT) -> AlertmanagerFile:
    file = folder / "alertmanager.yml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return AlertmanagerFile(file, DaemonPool("places", 2))


def in_secret(content: bytes) -> AlertmanagerSecret:
    async def fetch() -> bytes:
        return content

    async def close() -> None: ...

    return AlertmanagerSecret("monitoring/main/alertmanager.yaml.gz", fetch, DaemonPool("places", 2), close)


async def failure(listing: Callable[[], Awaitable[Listing]]) -> Failure:
    with pytest.raises(Failure) as caught:
        await listing()
    return caught.value


async def test_a_file_and_the_files_it_names_are_followed(tmp_path: Path) -> None:
    (tmp_path / "slack.url").write_text("https://slack.example.org/s3cr3t\n")
    origin = in_file(tmp_path)
    assert list(origin.watched) == [tmp_path / "alertmanager.yml"]
    listing = await origin.list()
    assert [(target.name, target.type, target.shown) for target in listing.targets] == [
        ("team/slack/0", "slack", "https://slack.example.org"),
        ("team/webhook/0", "webhook", "https://hooks.example.org"),
    ]
    assert listing.integrations == {"team": 2, "void": 0}
    assert set(listing.seconds) == {"parse", "validate"}
    assert list(origin.watched) == [tmp_path / "alertmanager.yml", tmp_path / "slack.url"]
    assert "s3cr3t" not in repr(listing)
    await origin.close()


async def test_a_named_file_that_cannot_be_read_costs_its_integration(tmp_path: Path) -> None:
    origin = in_file(tmp_path)
    listing = await origin.list()
    assert [target.name for target in listing.targets] == ["team/webhook/0"]
    assert [invalid.flaw for invalid in listing.invalid] == [Flaw.MISSING]
    assert tmp_path / "slack.url" in origin.watched, "it may come"


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
async def test_the_secret_of_the_operator_is_plain_or_packed(pack: Callable[[bytes], bytes]) -> None:
    origin = in_secret(pack(TEXT.encode()))
    listing = await origin.list()
    assert [target.name for target in listing.targets] == ["team/webhook/0"]
    assert [invalid.flaw for invalid in listing.invalid] == [Flaw.MISSING], "its files are in another container"
    assert listing.targets[0].source == "monitoring/main/alertmanager.yaml.gz"
    assert not origin.watched


@pytest.mark.parametrize(
    ("content", "reason", "words"),
    [
        (b"receivers: [", Reason.PARSE, "alertmanager.yml:2:1"),
        (b"", Reason.PARSE, "expected a mapping"),
        (b"route: {}", Reason.PARSE, "receivers"),
        (b"\xff", Reason.DECODE, "not UTF-8"),
        (b"\x1f\x8b\x08s3cr3t", Reason.DECODE, "not gzip, although it begins as such"),
        (gzip.compress(TEXT.encode())[:-9], Reason.DECODE, "the gzip data breaks off"),
        (gzip.compress(b" " * (5 << 20)), Reason.DECODE, "larger than 4096 KiB once unpacked"),
    ],
)
async def test_what_is_no_configuration_fails_as_a_whole(
    tmp_path: Path, content: bytes, reason: Reason, words: str
) -> None:
    """So that what was known before stays."""
    failed = await failure(in_file(tmp_path, content).list)
    assert failed.reason is reason
    assert words in failed.detail
    assert "s3cr3t" not in failed.detail


async def test_a_file_that_is_gone_or_too_large_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = in_file(tmp_path)
    (tmp_path / "alertmanager.yml").unlink()
    failed = await failure(origin.list)
    assert (failed.reason, "no such file" in failed.detail) == (Reason.CONFIG, True)
    monkeypatch.setattr(alertmanager, "LARGEST", 10 << 10)
    failed = await failure(in_file(tmp_path, b"#" * 20_000).list)
    assert "larger than 10 KiB" in failed.detail


async def test_a_secret_that_cannot_be_read_fails_for_the_reason_of_the_cluster() -> None:
    async def fetch() -> bytes:
        raise Failure(Reason.AUTH, "not allowed")

    async def close() -> None: ...

    origin = AlertmanagerSecret("a/b/c", fetch, DaemonPool("places", 1), close)
    assert (await failure(origin.list)).reason is Reason.AUTH


def test_what_is_wrong_with_a_file_can_be_asked_beforehand(tmp_path: Path) -> None:
    in_file(tmp_path)
    assert fault_of(tmp_path / "alertmanager.yml") == ""
    in_file(tmp_path, "receivers: 7")
    assert "receivers: expected a list" in fault_of(tmp_path / "alertmanager.yml")
