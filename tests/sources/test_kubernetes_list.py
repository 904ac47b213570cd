"""Lists: pages, namespaces, limits, and what each refusal is called."""

from __future__ import annotations

import asyncio
import base64
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import run

import pytest

from exporter.model.errors import Backoff, Failure
from exporter.model.reason import Flaw, Reason
from exporter.sources.kubernetes import Cluster, Limits
from tests.fakes.kubernetes import faults
from tests.fakes.kubernetes.api import KubernetesApi
from tests.sources.clusters import LABELS, PLACE, Pauses, cluster_of, config, fill, names


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with KubernetesApi() as running:
        running.namespace(PLACE)
        yield running


@asynccontextmanager
async def open_cluster(api: KubernetesApi, tmp_path: Path, *namespaces: str, **how: object) -> AsyncIterator[Cluster]:
    cluster = cluster_of(api.kubeconfig(tmp_path / "kubeconfig"), *namespaces, **how)  # type: ignore[arg-type]
    try:
        yield cluster
    finally:
        await cluster.close()


async def failure_of(cluster: Cluster) -> Failure:
    with pytest.raises(Failure) as caught:
        await cluster.list()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


def test_the_client_library_is_not_imported_before_it_is_needed() -> None:
    script = (
        "import sys, exporter.sources.kubernetes as ours\n"
        "ours.Cluster(ours.ClusterOptions(('a',)), None, None)\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'kubernetes'])"
    )
    assert run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "[]"


async def test_secrets_of_the_namespace_become_targets_with_their_place(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one", "two"])
    fill(api, ["elsewhere"], "other")
    async with open_cluster(api, tmp_path) as cluster:
        listing = await cluster.list()
    assert listing.origin == "kubernetes"
    assert [(target.name, target.source) for target in listing.targets] == [
        ("one", "alerts/one"),
        ("two", "alerts/two"),
    ]
    assert [asked.query["labelSelector"] for asked in api.requests.of("list")] == ["publishing-target=true"]


async def test_the_server_selects_by_label(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one"])
    api.put(PLACE, "unlabelled", config("unlabelled"))
    api.put(PLACE, "theirs", config("theirs"), {"team": "theirs"})
    async with open_cluster(api, tmp_path) as cluster:
        assert names(await cluster.list()) == ["one"]
    async with open_cluster(api, tmp_path, selector="team=theirs") as cluster:
        assert names(await cluster.list()) == ["theirs"]
    async with open_cluster(api, tmp_path, selector="") as cluster:
        assert sorted(names(await cluster.list())) == ["one", "theirs", "unlabelled"]


async def test_all_namespaces_are_listed_once_each(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one"], "a")
    fill(api, ["two"], "b")
    async with open_cluster(api, tmp_path, "a", "b", "a") as cluster:
        assert names(await cluster.list()) == ["one", "two"]
    assert [asked.namespace for asked in api.requests.of("list")] == ["a", "b"]


async def test_a_long_list_comes_in_pages_of_five_hundred(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, [f"t{number:04}" for number in range(1_101)])
    async with open_cluster(api, tmp_path) as cluster:
        assert len((await cluster.list()).targets) == 1_101
    asked = api.requests.of("list")
    assert [one.query["limit"] for one in asked] == ["500"] * 3
    assert ["continue" in one.query for one in asked] == [False, True, True]


async def test_a_namespace_without_secrets_or_one_that_is_gone_has_no_targets(
    api: KubernetesApi, tmp_path: Path
) -> None:
    async with open_cluster(api, tmp_path, PLACE, "never-there") as cluster:
        assert (await cluster.list()).targets == ()
        fill(api, ["one"])
        assert names(await cluster.list()) == ["one"]
        api.delete_namespace(PLACE)
        assert (await cluster.list()).targets == ()


async def test_broken_secrets_are_told_by_name_and_cost_the_others_nothing(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["fine"])
    api.put(PLACE, "empty", {}, LABELS)
    api.put(PLACE, "garbled", {"config": "%%%"}, LABELS, encoded=True)
    api.put(PLACE, "list", {"config": "[]"}, LABELS)
    api.put(PLACE, "deep", {"config": "[" * 10_000}, LABELS)
    api.put(PLACE, "inside", config("inside", url="http://169.254.169.254/latest"), LABELS)
    api.put(PLACE, "file", config("file", url="file:///etc/passwd"), LABELS)
    async with open_cluster(api, tmp_path) as cluster:
        listing = await cluster.list()
    assert names(listing) == ["fine"]
    flaws = {invalid.document: invalid.flaw for invalid in listing.invalid}
    assert flaws.keys() == {f"alerts/{name}" for name in ("empty", "garbled", "list", "deep", "inside", "file")}
    assert flaws["alerts/empty"] is Flaw.MISSING
    assert flaws["alerts/garbled"] is Flaw.ENCODING
    assert flaws["alerts/inside"] is Flaw.POLICY


async def test_a_secret_that_says_it_is_no_target_is_skipped(api: KubernetesApi, tmp_path: Path) -> None:
    api.put(PLACE, "off", config("off"), {"publishing-target": "false", "look": "here"})
    async with open_cluster(api, tmp_path, selector="look=here") as cluster:
        listing = await cluster.list()
    assert (listing.targets, listing.invalid, listing.skipped) == ((), (), 1)


async def test_a_secret_of_the_same_version_is_not_parsed_again(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one", "two"])
    async with open_cluster(api, tmp_path) as cluster:
        first = await cluster.list()
        api.put(PLACE, "two", config("two", url="https://new.example/"), LABELS)
        second = await cluster.list()
    assert second.targets[0] is first.targets[0]
    assert second.targets[1].shown == "https://new.example"


async def test_a_list_that_expires_between_its_pages_is_begun_again(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["a", "b", "c"])
    limits = Limits(page=2)
    api.fail(faults.refuses(410), "list", times=1)
    async with open_cluster(api, tmp_path, limits=limits) as cluster:
        assert names(await cluster.list()) == ["a", "b", "c"]
        assert ["continue" in asked.query for asked in api.requests.of("list")] == [False, False, True]
        api.fail(faults.refuses(410), "list")
        api.requests.clear()
        failed = await failure_of(cluster)
    assert (failed.reason, failed.detail) == (
        Reason.HTTP_STATUS,
        "the list of the namespace alerts expires before its end",
    )
    assert len(api.requests) == 3


async def test_versions_that_are_forgotten_between_two_pages_cost_nothing(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["a", "b", "c"])
    async with open_cluster(api, tmp_path, limits=Limits(page=2)) as cluster:
        api.fail(faults.slow(0.2), "list")
        listing = asyncio.create_task(cluster.list())
        while len(api.requests.of("list")) < 2:
            await asyncio.sleep(0.01)
        api.put(PLACE, "d", config("d"), LABELS)
        api.forget_history()
        assert names(await listing) == ["a", "b", "c", "d"]
    assert len(api.requests) == 4


async def test_a_compressed_list_is_understood_and_counted_as_what_it_inflates_to(
    api: KubernetesApi, tmp_path: Path
) -> None:
    api.compress()
    fill(api, [f"t{number:04}" for number in range(1_000)])
    async with open_cluster(api, tmp_path) as cluster:
        assert len((await cluster.list()).targets) == 1_000
    async with open_cluster(api, tmp_path, limits=Limits(total=200_000)) as cluster:
        assert (await failure_of(cluster)).reason is Reason.TOO_LARGE


async def test_a_page_that_is_too_large_is_asked_for_in_smaller_ones(api: KubernetesApi, tmp_path: Path) -> None:
    api.put_all(
        [(PLACE, f"t{number}", config(f"t{number}", filter_config={"x": "y" * 3_000}), LABELS) for number in range(30)]
    )
    async with open_cluster(api, tmp_path, limits=Limits(page=30, body=20_000)) as cluster:
        assert len((await cluster.list()).targets) == 30
    assert {asked.query["limit"] for asked in api.requests.of("list")} == {"30", "3"}


async def test_bodies_have_a_limit_each_and_together(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["a", "b", "c"])
    async with open_cluster(api, tmp_path, limits=Limits(body=100)) as cluster:
        failed = await failure_of(cluster)
        assert (failed.reason, failed.detail) == (Reason.TOO_LARGE, "the answer is larger than 100 bytes")
    async with open_cluster(api, tmp_path, limits=Limits(page=1, total=800)) as cluster:
        failed = await failure_of(cluster)
        assert (failed.reason, failed.detail) == (Reason.TOO_LARGE, "the list is larger than 800 bytes")


async def test_a_server_that_is_not_there_is_told_and_found_again(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one"])
    async with open_cluster(api, tmp_path) as cluster:
        api.stop()
        failed = await failure_of(cluster)
        assert (failed.reason, failed.detail) == (Reason.CONNECT, "connection refused")
        api.start()
        assert names(await cluster.list()) == ["one"]


@pytest.mark.parametrize(
    ("fault", "reason", "detail"),
    [
        (
            faults.refuses(401),
            Reason.AUTH,
            "the API server does not accept our credentials, asked to list secrets in the namespace alerts"
            " as nobody: no credentials were found",
        ),
        (
            faults.refuses(403),
            Reason.AUTH,
            "not allowed to list secrets in the namespace alerts as nobody: no credentials were found",
        ),
        (
            faults.refuses(500),
            Reason.HTTP_STATUS,
            "the answer to list secrets in the namespace alerts was 500",
        ),
        (faults.refuses(429), Reason.RATE_LIMITED, "the API server asks for fewer requests"),
        (faults.says_html(), Reason.DECODE, "the answer is not what an API server says"),
        (faults.says(b"{}"), Reason.DECODE, "the answer is not what an API server says"),
        (faults.says(b"[" * 100_000), Reason.DECODE, "the answer is not what an API server says"),
        (
            faults.says(b'{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"\xff"}}]}'),
            Reason.DECODE,
            "",
        ),
        (faults.drops, Reason.CONNECT, "the connection broke, asked to list secrets in the namespace alerts"),
    ],
    ids=["401", "403", "500", "429", "html", "empty", "deep", "encoding", "drops"],
)
async def test_each_refusal_has_its_reason_and_a_text_of_ours(
    api: KubernetesApi, tmp_path: Path, fault: faults.Fault, reason: Reason, detail: str
) -> None:
    fill(api, ["one"])
    async with open_cluster(api, tmp_path) as cluster:
        assert names(await cluster.list()) == ["one"]
        api.fail(fault, "list")
        failed = await failure_of(cluster)
        assert failed.reason is reason
        assert failed.detail == detail or not detail
        api.heal()
        assert names(await cluster.list()) == ["one"]


@pytest.mark.parametrize(
    ("fault", "limits"),
    [
        (faults.silent, Limits(timeout=0.2)),
        (faults.silent, Limits(silence=0.2)),
        (faults.drips, Limits(timeout=0.3)),
        (faults.says(b'{"metadata"', stays=True), Limits(silence=0.2)),
    ],
    ids=["silent", "silent-read", "drips", "stops"],
)
async def test_a_server_that_hangs_is_given_up(
    api: KubernetesApi, tmp_path: Path, fault: faults.Fault, limits: Limits
) -> None:
    api.fail(fault)
    async with open_cluster(api, tmp_path, limits=limits) as cluster:
        failed = await failure_of(cluster)
    assert (failed.reason, failed.detail) == (
        Reason.TIMEOUT,
        "no answer in time, asked to list secrets in the namespace alerts",
    )


async def test_a_name_that_does_not_resolve_is_told(api: KubernetesApi, tmp_path: Path) -> None:
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
    kubeconfig.write_text(kubeconfig.read_text().replace("127.0.0.1", "no-such-host.invalid"))
    cluster = cluster_of(kubeconfig)
    assert (await failure_of(cluster)).reason is Reason.DNS
    await cluster.close()


async def test_a_peer_that_does_not_speak_http_is_told(api: KubernetesApi, tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
    async with await asyncio.start_server(answer, "127.0.0.1", 0, family=socket.AF_INET) as server:
        port = server.sockets[0].getsockname()[1]
        kubeconfig.write_text(kubeconfig.read_text().replace(str(api.port), str(port)))
        cluster = cluster_of(kubeconfig)
        failed = await failure_of(cluster)
        await cluster.close()
    assert (failed.reason, failed.detail) == (Reason.DECODE, "the answer is not HTTP")


@pytest.mark.parametrize("code", [429, 503])
async def test_a_pause_the_server_asks_for_is_kept(api: KubernetesApi, tmp_path: Path, code: int) -> None:
    pauses = Pauses()
    fill(api, ["one"])
    api.fail(faults.refuses(code, retry_after=7), "list", times=1)
    async with open_cluster(api, tmp_path, pauses=pauses) as cluster:
        failed = await failure_of(cluster)
        assert failed.reason is (Reason.RATE_LIMITED if code == 429 else Reason.HTTP_STATUS)
        assert isinstance(failed, Backoff) is (code == 429)
        assert cluster.pause == 7.0
        pauses.clock.advance(6.5)
        assert isinstance(await failure_of(cluster), Backoff)
        assert len(api.requests) == 1
        pauses.clock.advance(1.0)
        assert cluster.pause == 0.0
        assert names(await cluster.list()) == ["one"]


async def test_a_namespace_that_is_forbidden_does_not_hide_the_news_of_the_others(
    api: KubernetesApi, tmp_path: Path
) -> None:
    fill(api, ["one"], "a")
    fill(api, ["two"], "b")
    async with open_cluster(api, tmp_path, "a", "b") as cluster:
        api.fail(faults.refuses(403), namespace="a", times=1)
        failed = await failure_of(cluster)
        assert failed.detail.startswith("not allowed to list secrets in the namespace a ")
        assert [asked.namespace for asked in api.requests] == ["a", "b"]
        assert names(await cluster.list()) == ["one", "two"]


async def test_one_value_of_one_secret_can_be_read(api: KubernetesApi, tmp_path: Path) -> None:
    api.put(PLACE, "main", {"alertmanager.yaml": b"\x1f\x8b\x00", "word": "text"})
    api.put(PLACE, "garbled", {"key": "%"}, encoded=True)
    async with open_cluster(api, tmp_path) as cluster:
        assert await cluster.secret(PLACE, "main", "alertmanager.yaml") == b"\x1f\x8b\x00"
        with pytest.raises(Failure, match="the Secret alerts/main has no nothing"):
            await cluster.secret(PLACE, "main", "nothing")
        with pytest.raises(Failure, match="key of the Secret alerts/garbled is not base64"):
            await cluster.secret(PLACE, "garbled", "key")
        with pytest.raises(Failure, match="the answer to get the Secret none in the namespace alerts was 404"):
            await cluster.secret(PLACE, "none", "key")
    assert api.requests.seen() == {("get", "secrets")}


async def test_values_of_secrets_are_in_no_failure(api: KubernetesApi, tmp_path: Path) -> None:
    value = base64.b64encode(b"canary").decode()
    api.fail(faults.says(b'{"metadata":{"resourceVersion":"1"},"items":[{"data":"%b"}]}' % value.encode()))
    async with open_cluster(api, tmp_path) as cluster:
        failed = await failure_of(cluster)
    assert value not in repr(failed)


async def test_a_list_that_is_cancelled_ends_at_once(api: KubernetesApi, tmp_path: Path) -> None:
    api.fail(faults.silent)
    async with open_cluster(api, tmp_path) as cluster:
        listing = asyncio.create_task(cluster.list())
        while not api.requests.of("list"):
            await asyncio.sleep(0.01)
        listing.cancel()
        async with asyncio.timeout(1.0):
            with pytest.raises(asyncio.CancelledError):
                await listing
