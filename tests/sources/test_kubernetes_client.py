"""How the API server is found and convinced: kubeconfig, service account, plugin, and what replaces them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.sources.kubernetes import Cluster
from tests.fakes.kubernetes import faults
from tests.fakes.kubernetes.api import KubernetesApi
from tests.fakes.remote import TLS
from tests.sources.clusters import PLACE, Follower, Pauses, cluster_of, fill, names

TOKEN, NEXT = "first-token", "second-token"
NOT_TRUSTED = "the certificate chain ends in an authority that is not trusted"


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in a cluster nor in the shell of someone who has one."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with KubernetesApi(tls=True, token=TOKEN) as running:
        fill(running, ["one"])
        yield running


@pytest.fixture
def account(api: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a pod's service account."""
    folder = tmp_path / "serviceaccount"
    for name, value in api.entry(PLACE).service_account(folder, TOKEN).items():
        monkeypatch.setenv(name, value)
    place = "kubernetes.aio.config.incluster_config"
    monkeypatch.setattr(f"{place}.SERVICE_TOKEN_FILENAME", str(folder / "token"))
    monkeypatch.setattr(f"{place}.SERVICE_CERT_FILENAME", str(folder / "ca.crt"))
    return folder


@asynccontextmanager
async def using(kubeconfig: Path | None) -> AsyncIterator[Cluster]:
    cluster = cluster_of(kubeconfig)
    try:
        yield cluster
    finally:
        await cluster.close()


async def failure_of(cluster: Cluster) -> Failure:
    with pytest.raises(Failure) as caught:
        await cluster.list()
    return caught.value


async def test_a_kubeconfig_with_a_token_is_understood(api: KubernetesApi, tmp_path: Path) -> None:
    async with using(api.kubeconfig(tmp_path / "kubeconfig")) as cluster:
        assert names(await cluster.list()) == ["one"]
    assert len(api.requests) == 1


async def test_a_kubeconfig_with_a_certificate_is_understood(api: KubernetesApi, tmp_path: Path) -> None:
    async with using(api.entry().with_certificate(tmp_path / "kubeconfig", TLS / "server.pem")) as cluster:
        assert names(await cluster.list()) == ["one"]
    assert len(api.requests) == 1


async def test_the_environment_may_name_the_kubeconfig(
    api: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'none'}:{kubeconfig}")
    async with using(None) as cluster:
        assert names(await cluster.list()) == ["one"]


async def test_a_token_file_is_read_again_when_the_token_is_refused(api: KubernetesApi, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    async with using(api.entry().with_token_file(tmp_path / "kubeconfig", token)) as cluster:
        assert names(await cluster.list()) == ["one"]
        api.token = NEXT
        token.write_text(NEXT + "\n")
        assert names(await cluster.list()) == ["one"]
    assert len(api.requests) == 3


async def test_a_plugin_is_asked_again_when_its_token_is_refused(api: KubernetesApi, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    async with using(api.entry().with_plugin(tmp_path / "kubeconfig", token)) as cluster:
        assert names(await cluster.list()) == ["one"]
        api.token = NEXT
        token.write_text(NEXT)
        assert names(await cluster.list()) == ["one"]
    assert len(api.requests) == 3


async def test_what_a_plugin_says_when_it_fails_is_not_logged(
    api: KubernetesApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kubeconfig = api.entry().with_plugin(tmp_path / "kubeconfig", tmp_path / "token")
    plugin = tmp_path / "kubeconfig.plugin"
    plugin.write_text("#!/bin/sh\necho canary >&2\nexit 1\n")
    with caplog.at_level(logging.DEBUG):
        async with using(kubeconfig) as cluster:
            failed = await failure_of(cluster)
    assert failed.reason is Reason.AUTH
    assert failed.detail.endswith("as nobody: no credentials were found")
    assert "canary" not in caplog.text + repr(failed)


async def test_a_token_that_stays_refused_is_tried_once_more_and_no_oftener(api: KubernetesApi, tmp_path: Path) -> None:
    api.token = NEXT
    async with using(api.entry().with_token(tmp_path / "kubeconfig", TOKEN)) as cluster:
        failed = await failure_of(cluster)
    assert failed.reason is Reason.AUTH
    assert failed.detail == (
        "the API server does not accept our credentials, asked to list secrets in the namespace alerts"
    )
    assert len(api.requests) == 2
    assert TOKEN not in repr(failed)


async def test_the_watch_too_reads_the_token_again(api: KubernetesApi, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    kubeconfig = api.entry().with_token_file(tmp_path / "kubeconfig", token)
    cluster = cluster_of(kubeconfig, pauses=Pauses())
    async with Follower(cluster).following() as follower:
        await follower.until(lambda: api.watches == 1)
        api.token = NEXT
        token.write_text(NEXT)
        api.end_watches()
        fill(api, ["two"])
        await follower.sees("one", "two")
    await cluster.close()


async def test_an_authority_that_was_replaced_is_read_again(api: KubernetesApi, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text((TLS / "selfsigned.pem").read_text())
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
    kubeconfig.write_text(kubeconfig.read_text().replace(str(TLS / "ca.pem"), str(authority)))
    async with using(kubeconfig) as cluster:
        failed = await failure_of(cluster)
        assert (failed.reason, failed.detail) == (Reason.TLS, NOT_TRUSTED)
        authority.write_text((TLS / "ca.pem").read_text())
        assert names(await cluster.list()) == ["one"]


async def test_a_server_without_tls_is_told_from_one_with_it(api: KubernetesApi, tmp_path: Path) -> None:
    with KubernetesApi() as plain:
        kubeconfig = plain.kubeconfig(tmp_path / "kubeconfig")
        kubeconfig.write_text(kubeconfig.read_text().replace("http://", "https://"))
        async with using(kubeconfig) as cluster:
            failed = await failure_of(cluster)
    assert (failed.reason, failed.detail) == (Reason.TLS, "the remote does not speak TLS")


async def test_in_a_pod_its_own_account_is_used(api: KubernetesApi, account: Path) -> None:
    async with using(None) as cluster:
        assert names(await cluster.list()) == ["one"]
        api.token = NEXT
        (account / "token").write_text(NEXT + "\n")
        assert names(await cluster.list()) == ["one"]
    assert len(api.requests) == 2


@pytest.mark.parametrize("file", ["token", "ca.crt"])
@pytest.mark.parametrize("state", ["empty", "gone"])
async def test_files_of_the_account_that_are_missing_are_named(
    api: KubernetesApi, account: Path, file: str, state: str
) -> None:
    path = account / file
    path.unlink() if state == "gone" else path.write_text("\n")
    async with using(None) as cluster:
        failed = await failure_of(cluster)
        assert failed.reason is Reason.CONFIG
        assert failed.detail == f"{path} " + ("is empty" if state == "empty" else "cannot be read")
        path.write_text((TLS / "ca.pem").read_text() if file == "ca.crt" else TOKEN)
        assert names(await cluster.list()) == ["one"]


async def test_a_token_that_turns_out_of_no_use_is_told_but_not_quoted(api: KubernetesApi, account: Path) -> None:
    async with using(None) as cluster:
        assert names(await cluster.list()) == ["one"]
        (account / "token").write_text("two\nlines")
        failed = await failure_of(cluster)
        assert (failed.reason, failed.detail) == (
            Reason.CONFIG,
            "the address, the token or the proxy of the API server is of no use",
        )
        (account / "token").unlink()
        failed = await failure_of(cluster)
        assert (failed.reason, failed.detail) == (Reason.CONFIG, "the token for the API server cannot be read")


async def test_a_certificate_of_the_account_that_is_none_is_told(api: KubernetesApi, account: Path) -> None:
    (account / "ca.crt").write_text("no certificate")
    async with using(None) as cluster:
        failed = await failure_of(cluster)
    assert (failed.reason, failed.detail) == (
        Reason.CONFIG,
        "a certificate or key named for the API server is of no use",
    )


async def test_an_environment_without_the_port_of_the_server_is_told(
    account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_PORT")
    async with using(None) as cluster:
        failed = await failure_of(cluster)
    assert (failed.reason, failed.detail) == (
        Reason.CONFIG,
        "the environment does not say where the API server is",
    )


async def test_outside_of_a_cluster_a_kubeconfig_is_needed() -> None:
    async with using(None) as cluster:
        failed = await failure_of(cluster)
    assert (failed.reason, failed.detail) == (
        Reason.CONFIG,
        "there is neither a service account nor a kubeconfig",
    )


@pytest.mark.parametrize(
    "content",
    ["", "canary", "[]", "canary: [", "current-context: x\ncontexts: []\nclusters: []\n", "\x00", "a: &a [*a]"],
    ids=["empty", "text", "list", "broken", "nothing", "binary", "cycle"],
)
async def test_a_kubeconfig_of_no_use_is_named_but_not_quoted(tmp_path: Path, content: str) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(content)
    async with using(kubeconfig) as cluster:
        failed = await failure_of(cluster)
    assert (failed.reason, failed.detail) == (
        Reason.CONFIG,
        f"the kubeconfig {kubeconfig} cannot be read, or does not name a cluster and credentials that can be used",
    )


async def test_a_kubeconfig_that_is_not_there_is_named_and_found_when_it_comes(
    api: KubernetesApi, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    async with using(kubeconfig) as cluster:
        failed = await failure_of(cluster)
        assert (failed.reason, failed.detail) == (Reason.CONFIG, f"the kubeconfig {kubeconfig} is not there")
        api.kubeconfig(kubeconfig)
        assert names(await cluster.list()) == ["one"]


@pytest.mark.parametrize("server", ["http://", "what is this", "ftp://host", "http://host:99999999"])
async def test_an_address_that_is_none_is_told(api: KubernetesApi, tmp_path: Path, server: str) -> None:
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
    kubeconfig.write_text(kubeconfig.read_text().replace(api.url, server))
    async with using(kubeconfig) as cluster:
        failed = await failure_of(cluster)
    assert failed.reason is Reason.CONFIG


async def test_redirects_without_end_are_told(tmp_path: Path) -> None:
    from aiohttp import web

    async def redirects(request: web.Request, asked: object) -> web.StreamResponse:
        raise web.HTTPFound(request.path)

    with KubernetesApi() as plain:
        plain.fail(redirects)
        async with using(plain.kubeconfig(tmp_path / "kubeconfig")) as cluster:
            failed = await failure_of(cluster)
    assert (failed.reason, failed.detail) == (Reason.REDIRECT, "the API server redirects without end")


async def test_a_proxy_that_leads_nowhere_is_told(api: KubernetesApi, tmp_path: Path) -> None:
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
    with KubernetesApi() as proxy:
        proxy.fail(faults.refuses(503))
        text = kubeconfig.read_text()
        kubeconfig.write_text(text.replace(f"server: {api.url}", f"server: {api.url}\n    proxy-url: {proxy.url}"))
        async with using(kubeconfig) as cluster:
            failed = await failure_of(cluster)
    assert (failed.reason, failed.detail) == (Reason.CONNECT, "the proxy does not lead to the API server")


async def test_a_cluster_may_be_closed_at_any_time(api: KubernetesApi, tmp_path: Path) -> None:
    cluster = cluster_of(api.kubeconfig(tmp_path / "kubeconfig"))
    await cluster.close()
    await cluster.list()
    await cluster.close()
    await cluster.close()
