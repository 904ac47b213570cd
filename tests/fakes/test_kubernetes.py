"""The API server of the tests is believed because kubectl and the official client believe it."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient, Configuration, CoreV1Api, V1Secret
from kubernetes.aio.config import load_kube_config
from kubernetes.aio.config.incluster_config import InClusterConfigLoader
from kubernetes.aio.watch import Watch

from tests.fakes.authority import Authority
from tests.fakes.kubernetes import faults
from tests.fakes.kubernetes.api import KubernetesApi
from tests.fakes.kubernetes.kubeconfig import Entry
from tests.fakes.kubernetes.real import Kubectl, Place, real_or_fake
from tests.fakes.kubernetes.recording import Asked, Recording
from tests.fakes.kubernetes.roles import all_permissions, manifests, permissions, roles
from tests.fakes.remote import TLS

TOKEN = "let-me-in"
RBAC = Path(__file__).parents[2] / "deploy/rbac.yaml"
LISTED = "/api/v1/namespaces/default/secrets"


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with KubernetesApi() as api:
        yield api


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with real_or_fake(tmp_path) as place:
        yield place


def kubectl_of(place: Place, tmp_path: Path) -> Kubectl:
    return Kubectl(place.kubeconfig, tmp_path / "cache")


def get(api: KubernetesApi, path: str = LISTED, **query: object) -> dict[str, Any]:
    """The answer, also when it is an error."""
    address = f"{api.url}{path}?{urllib.parse.urlencode(query)}"
    try:
        with urllib.request.urlopen(address, timeout=10) as response:
            values: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            values = json.load(error)
    return values


def watched(api: KubernetesApi, **query: object) -> list[tuple[str, str]]:
    """What a short watch says: (event, name of the object or reason of the error)."""
    address = f"{api.url}{LISTED}?{urllib.parse.urlencode({'watch': 1, 'timeoutSeconds': 0.2} | query)}"
    with urllib.request.urlopen(address, timeout=10) as response:
        events = [json.loads(line) for line in response]
    return [
        (each["type"], each["object"].get("reason") or each["object"]["metadata"].get("name", "")) for each in events
    ]


def names(answer: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in answer["items"]]


class TestKubectl:
    """What the real kubectl makes of it."""

    def test_lists_as_a_table(self, place: Place, tmp_path: Path) -> None:
        place.api.put(place.namespace, "first", {"config": "{}", "more": "x"})
        printed = kubectl_of(place, tmp_path).run("get", "secrets", "-n", place.namespace)
        assert printed.splitlines()[0].split() == ["NAME", "TYPE", "DATA", "AGE"]
        assert ["first", "Opaque", "2"] in [line.split()[:3] for line in printed.splitlines()]

    def test_gets_whole_objects(self, place: Place, tmp_path: Path) -> None:
        place.api.put(place.namespace, "first", {"config": "{}"}, {"app": "x"})
        kubectl = kubectl_of(place, tmp_path)
        one = json.loads(kubectl.run("get", "secret", "first", "-n", place.namespace, "-o", "json"))
        assert (one["kind"], one["data"], one["metadata"]["labels"]) == ("Secret", {"config": "e30="}, {"app": "x"})

    @pytest.mark.parametrize(
        ("selector", "selected"),
        [
            ("app=x", ["a"]),
            ("app!=x", ["b", "c"]),
            ("app in (x,y)", ["a", "b"]),
            ("app notin (x)", ["b", "c"]),
            ("app", ["a", "b"]),
            ("!app", ["c"]),
            ("app in (x,y),tier=1", ["b"]),
        ],
    )
    def test_selects_by_label(self, place: Place, tmp_path: Path, selector: str, selected: list[str]) -> None:
        place.api.put(place.namespace, "a", {}, {"test": "1", "app": "x"})
        place.api.put(place.namespace, "b", {}, {"test": "1", "app": "y", "tier": "1"})
        place.api.put(place.namespace, "c", {}, {"test": "1"})
        kubectl = kubectl_of(place, tmp_path)
        printed = kubectl.run("get", "secrets", "-n", place.namespace, "-o", "name", "-l", f"test=1,{selector}")
        assert printed.split() == [f"secret/{name}" for name in selected]

    def test_reads_pages_to_the_end(self, place: Place, tmp_path: Path) -> None:
        for number in range(7):
            place.api.put(place.namespace, f"s{number}", {}, {"app": "x"})
        kubectl = kubectl_of(place, tmp_path)
        for form in ("-o=name", "--no-headers"):
            printed = kubectl.run("get", "secrets", "-n", place.namespace, "-l", "app=x", "--chunk-size=3", form)
            assert len(printed.splitlines()) == 7

    def test_applies_labels_and_deletes(self, place: Place, tmp_path: Path) -> None:
        kubectl = kubectl_of(place, tmp_path)
        for value in ("one", "two"):
            kubectl.put(place.namespace, "made", {"key": value}, {"app": "x"})
        kubectl.patch(place.namespace, "made", {"more": "three"}, {"app": None, "tier": "1"})
        made = json.loads(kubectl.run("get", "secret", "made", "-n", place.namespace, "-o", "json"))
        assert made["data"] == {"key": "dHdv", "more": "dGhyZWU="}
        assert made["metadata"]["labels"] == {"tier": "1"}
        kubectl.delete(place.namespace, "made")
        printed = kubectl.run("get", "secrets", "-n", place.namespace, "-l", "tier=1", "-o", "name")
        assert printed == ""

    def test_watches_through_a_selector(self, tmp_path: Path) -> None:
        with KubernetesApi(tls=True, token=TOKEN) as api:
            api.put("default", "first", {}, {"app": "x"})
            kubectl = Kubectl(api.kubeconfig(tmp_path / "kubeconfig"), tmp_path)
            options = ("-w", "-l", "app=x", "--output-watch-events", "--no-headers")
            command = kubectl.command("get", "secrets", *options)
            with subprocess.Popen(command, env=kubectl.environment, stdout=subprocess.PIPE, text=True) as running:
                api.wait(lambda: api.watches == 1)
                api.put("default", "second", {"a": "b"}, {"app": "x"})
                api.put("default", "other", {}, {"app": "y"})
                api.patch("default", "second", {"c": "d"})
                api.patch("default", "second", labels={"app": None})
                api.delete("default", "first")
                api.end_watches()
                printed = running.communicate(timeout=20)[0]
        assert [tuple(line.split()[:4]) for line in printed.splitlines()] == [
            ("ADDED", "first", "Opaque", "0"),
            ("ADDED", "second", "Opaque", "1"),
            ("MODIFIED", "second", "Opaque", "2"),
            ("DELETED", "second", "Opaque", "2"),
            ("DELETED", "first", "Opaque", "0"),
        ]

    @pytest.mark.parametrize("form", ["with_token_file", "with_plugin", "with_certificate"])
    def test_gets_in_by_every_form_of_kubeconfig(self, tmp_path: Path, form: str) -> None:
        given = TLS / "server.pem" if form == "with_certificate" else tmp_path / "token"
        with KubernetesApi(tls=True, token=TOKEN) as api:
            (tmp_path / "token").write_text(TOKEN)
            api.put("default", "first", {})
            kubectl = Kubectl(getattr(Entry, form)(api.entry(), tmp_path / "kubeconfig", given), tmp_path)
            assert kubectl.run("get", "secrets", "-o", "name") == "secret/first\n"

    def test_is_told_who_may_not(self, tmp_path: Path) -> None:
        with KubernetesApi(tls=True, token=TOKEN) as api:
            kubectl = Kubectl(api.kubeconfig(tmp_path / "kubeconfig"), tmp_path)
            api.permit({("list", "namespaces")})
            with pytest.raises(AssertionError, match=r"Forbidden.*cannot list resource"):
                kubectl.run("get", "secrets")
            assert kubectl.run("get", "namespaces", "-o", "name") == "namespace/default\n"
            api.token = "another"
            with pytest.raises(AssertionError, match=r"logged in|Unauthorized"):
                kubectl.run("get", "secrets")

    def test_trusts_another_authority_only_where_it_is_told_to(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        with KubernetesApi(tls=True) as api:
            api.present(authority.issue("another"))
            api.stop()
            api.start()
            kubeconfig = tmp_path / "kubeconfig"
            kubectl = Kubectl(api.entry().with_token(kubeconfig, TOKEN), tmp_path)
            with pytest.raises(AssertionError, match="signed by unknown authority"):
                kubectl.run("get", "namespaces")
            api.entry(authority=authority.file).with_token(kubeconfig, TOKEN)
            assert kubectl.run("get", "namespaces", "-o", "name") == "namespace/default\n"

    def test_stands_for_a_real_cluster_in_tests(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with KubernetesApi(tls=True, token=TOKEN) as api:
            monkeypatch.setenv("KUBECONFIG_TEST", str(api.kubeconfig(tmp_path / "kubeconfig")))
            with real_or_fake(tmp_path) as place:
                assert isinstance(place.api, Kubectl)
                place.api.put(place.namespace, "first", {"a": "b"})
                assert names(json.loads(place.api.run("get", "secrets", "-n", place.namespace, "-o", "json"))) == [
                    "first"
                ]
            assert [each.name for each in api.requests.of("delete")] == [place.namespace]


def name_of(secret: V1Secret) -> str:
    assert secret.metadata is not None
    return secret.metadata.name or ""


async def test_the_official_client_lists_and_watches(place: Place) -> None:
    place.api.put(place.namespace, "first", {"a": "b"}, {"app": "x"})
    configuration = Configuration()
    await load_kube_config(str(place.kubeconfig), client_configuration=configuration)
    seen: list[tuple[str, str]] = []
    async with ApiClient(configuration) as client, Watch() as watch:
        core = CoreV1Api(client)
        listed = await core.list_namespaced_secret(place.namespace, label_selector="app=x", limit=1)
        assert [(name_of(item), item.data) for item in listed.items] == [("first", {"a": "Yg=="})]
        place.api.put(place.namespace, "second", {}, {"app": "x"})
        place.api.delete(place.namespace, "first")
        options = {"label_selector": "app=x", "timeout_seconds": 20}
        assert listed.metadata is not None
        version = listed.metadata.resource_version
        watch.api_client = client
        async for event in watch.stream(
            core.list_namespaced_secret, place.namespace, resource_version=version, **options
        ):
            seen.append((event["type"], name_of(event["object"])))
            if len(seen) == 2:
                break
    assert seen == [("ADDED", "second"), ("DELETED", "first")]


async def test_the_official_client_gets_in_as_a_pod(tmp_path: Path) -> None:
    with KubernetesApi(tls=True, token=TOKEN) as api:
        api.put("alerts", "first", {})
        environment = api.entry("alerts").service_account(tmp_path, TOKEN)
        configuration = Configuration()
        files = {"token_filename": tmp_path / "token", "cert_filename": tmp_path / "ca.crt"}
        InClusterConfigLoader(**files, environ=environment).load_and_set(configuration)
        async with ApiClient(configuration) as client:
            listed = await CoreV1Api(client).list_namespaced_secret((tmp_path / "namespace").read_text())
        assert [name_of(item) for item in listed.items] == ["first"]


class TestLists:
    def test_pages_are_of_one_version(self, api: KubernetesApi) -> None:
        for name in "abcde":
            api.put("default", name, {})
        first = get(api, limit=2)
        api.delete("default", "d")
        api.put("default", "f", {})
        second = get(api, limit=3, **{"continue": first["metadata"]["continue"]})
        assert names(first) + names(second) == list("abcde")
        assert first["metadata"]["remainingItemCount"] == 3
        assert "remainingItemCount" not in get(api, limit=2, labelSelector="!app")["metadata"]
        assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
        assert "continue" not in second["metadata"]

    def test_a_token_whose_version_is_forgotten_is_gone_and_offers_another(self, api: KubernetesApi) -> None:
        for name in "abc":
            api.put("default", name, {})
        first = get(api, limit=1)
        api.forget_history()
        gone = get(api, limit=1, **{"continue": first["metadata"]["continue"]})
        assert (gone["code"], gone["reason"]) == (410, "Expired")
        assert names(get(api, **{"continue": gone["metadata"]["continue"]})) == ["b", "c"]

    def test_an_old_version_is_listed_while_it_is_known(self, api: KubernetesApi) -> None:
        api.put("default", "a", {})
        then = api.version
        api.put("default", "b", {})
        assert names(get(api, resourceVersion=then, resourceVersionMatch="Exact")) == ["a"]
        assert names(get(api, resourceVersion=then)) == ["a", "b"]
        api.forget_history()
        assert get(api, resourceVersion=then, resourceVersionMatch="Exact")["code"] == 410
        assert get(api, resourceVersion=api.version + 1)["code"] == 504

    def test_history_is_a_window(self) -> None:
        with KubernetesApi(history=2) as api:
            versions = []
            for number in range(4):
                api.put("default", "a", {"n": str(number)})
                versions.append(api.version)
            answers = [get(api, resourceVersion=each, resourceVersionMatch="Exact") for each in versions]
            assert ["items" in answer for answer in answers] == [False, True, True, True]

    def test_what_changes_nothing_is_no_new_version(self, api: KubernetesApi) -> None:
        api.put("default", "a", {"x": "y"}, {"l": "1"})
        version = api.version
        api.put("default", "a", {"x": "y"}, {"l": "1"})
        assert api.version == version

    def test_fields_can_select_too(self, api: KubernetesApi) -> None:
        api.put("default", "a", {})
        api.put("other", "a", {})
        api.put("other", "b", {})
        found = get(api, "/api/v1/secrets", fieldSelector="metadata.name=a,metadata.namespace!=default")
        assert [item["metadata"]["namespace"] for item in found["items"]] == ["other"]

    @pytest.mark.parametrize(
        "query",
        [
            {"fieldSelector": "data=x"},
            {"labelSelector": "a=b=c"},
            {"continue": "no"},
            {"continue": "bm8="},
            {"limit": "x"},
        ],
    )
    def test_nonsense_is_a_bad_request(self, api: KubernetesApi, query: dict[str, str]) -> None:
        assert get(api, **query)["code"] == 400

    def test_a_namespace_takes_its_secrets_along(self, api: KubernetesApi) -> None:
        api.put("doomed", "a", {})
        api.put("default", "b", {})
        api.delete_namespace("doomed")
        assert names(get(api, "/api/v1/secrets")) == ["b"]

    def test_data_can_be_wrong_in_ways_no_real_server_lets_in(self, api: KubernetesApi) -> None:
        api.put("default", "a", {"config": "%%%"}, encoded=True)
        assert get(api)["items"][0]["data"] == {"config": "%%%"}

    def test_five_thousand_are_served_in_no_time(self, api: KubernetesApi) -> None:
        api.put_all([("default", f"s{number:04}", {"config": "x" * 6000}, {"app": "x"}) for number in range(5000)])
        api.compress()
        started, token, count = time.monotonic(), "", 0
        while True:
            answer = get(api, limit=500, labelSelector="app=x", **{"continue": token})
            count += len(answer["items"])
            if not (token := answer["metadata"].get("continue", "")):
                break
        assert count == 5000
        assert time.monotonic() - started < 10.0


class TestWatches:
    def test_history_comes_first_and_bookmarks_last(self, api: KubernetesApi) -> None:
        api.put("default", "a", {})
        then = api.version
        api.put("default", "b", {})
        api.delete("default", "a")
        events = watched(api, resourceVersion=then, allowWatchBookmarks="true")
        assert events == [("ADDED", "b"), ("DELETED", "a"), ("BOOKMARK", "")]

    def test_without_a_version_all_there_is_comes_first(self, api: KubernetesApi) -> None:
        api.put("default", "a", {}, {"app": "x"})
        api.put("default", "b", {})
        assert watched(api, labelSelector="app=x") == [("ADDED", "a")]

    def test_what_comes_to_match_is_added_and_what_ceases_to_is_deleted(self, api: KubernetesApi) -> None:
        api.put("default", "a", {})
        then = api.version
        api.patch("default", "a", {"key": "value"})
        api.patch("default", "a", labels={"app": "x"})
        api.patch("default", "a", {"key": "other"})
        api.patch("default", "a", labels={"app": "y"})
        events = watched(api, resourceVersion=then, labelSelector="app=x")
        assert events == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]

    def test_what_is_deleted_has_the_version_of_its_end(self, api: KubernetesApi) -> None:
        api.put("default", "a", {})
        then = api.version
        api.delete("default", "a")
        deleted = get(api, watch=1, resourceVersion=then, timeoutSeconds=0.2)["object"]
        assert deleted["metadata"]["resourceVersion"] == str(then + 1)

    def test_a_forgotten_version_is_gone(self, api: KubernetesApi) -> None:
        then = api.version
        api.forget_history()
        assert get(api, watch=1, resourceVersion=then)["code"] == 410
        api.expire_in_stream()
        assert watched(api, resourceVersion=then) == [("ERROR", "Expired")]

    def test_live_watches_can_be_told_anything(self, api: KubernetesApi) -> None:
        address = f"{api.url}{LISTED}?watch=1&allowWatchBookmarks=1"
        with urllib.request.urlopen(address, timeout=10) as response:
            api.bookmark()
            assert json.loads(response.readline())["object"]["metadata"]["resourceVersion"] == str(api.version)
            api.say(faults.UNKNOWN_EVENT)
            assert json.loads(response.readline())["type"] == "RENAMED"
            api.expire_watches()
            assert json.loads(response.readline())["object"]["code"] == 410
            assert response.read() == b""

    def test_live_watches_can_be_dropped(self, api: KubernetesApi) -> None:
        with urllib.request.urlopen(f"{api.url}{LISTED}?watch=1", timeout=10) as response:
            api.drop_watches()
            with pytest.raises(http.client.IncompleteRead):
                response.read()
        api.wait(lambda: api.watches == 0)

    def test_live_watches_can_fall_silent_past_their_time(self, api: KubernetesApi) -> None:
        with urllib.request.urlopen(f"{api.url}{LISTED}?watch=1&timeoutSeconds=0.01", timeout=0.5) as response:
            api.half_open()
            api.put("default", "a", {})
            with pytest.raises(TimeoutError):
                response.readline()
        api.heal()
        assert names(get(api)) == ["a"]


class TestFaults:
    @pytest.mark.parametrize("code", [401, 403, 410, 429, 500, 503])
    def test_errors_are_those_of_the_api(self, api: KubernetesApi, code: int) -> None:
        api.fail(faults.refuses(code, retry_after=7), "watch", times=1)
        assert (get(api)["kind"], get(api, watch=1)["code"]) == ("SecretList", code)
        assert watched(api) == []

    def test_a_pause_is_asked_for_in_the_header(self, api: KubernetesApi) -> None:
        api.fail(faults.refuses(429, retry_after=7), "list", namespace="default")
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(api.url + LISTED, timeout=10)
        with raised.value as error:
            assert error.headers["Retry-After"] == "7"
        assert get(api, "/api/v1/secrets")["items"] == []

    def test_streams_can_say_anything(self, api: KubernetesApi) -> None:
        api.fail(faults.says(faults.GONE), "watch")
        assert watched(api) == [("ERROR", "Expired")]
        api.fail(faults.ends_at_once, "watch")
        assert watched(api) == []
        api.fail(faults.says(faults.MALFORMED), "watch")
        with pytest.raises(json.JSONDecodeError):
            watched(api)
        api.fail(faults.says_html())
        with pytest.raises(json.JSONDecodeError):
            get(api)

    def test_a_line_can_be_longer_than_anyone_wants(self, api: KubernetesApi) -> None:
        api.fail(faults.says_long_line(), "watch")
        with urllib.request.urlopen(f"{api.url}{LISTED}?watch=1", timeout=20) as response:
            assert len(response.readline()) > 50_000_000

    @pytest.mark.parametrize("fault", [faults.silent, faults.drips, faults.slow(60)])
    def test_an_answer_can_be_long_in_coming(self, api: KubernetesApi, fault: faults.Fault) -> None:
        api.fail(fault, "list")
        asking = ["curl", "-s", "-m", "0.3", api.url + LISTED]
        assert subprocess.run(asking, check=False).returncode == 28

    def test_what_was_only_slow_is_right(self, api: KubernetesApi) -> None:
        api.fail(faults.slow(0.01))
        assert get(api)["kind"] == "SecretList"

    def test_it_hangs_up_refuses_and_comes_back_on_the_same_port(self, api: KubernetesApi) -> None:
        api.put("default", "a", {})
        api.fail(faults.drops)
        with pytest.raises(ConnectionError):
            get(api)
        api.heal()
        api.stop()
        with pytest.raises(urllib.error.URLError, match="refused"):
            get(api)
        api.start()
        assert names(get(api)) == ["a"]


class TestRecording:
    def test_it_knows_who_asked_for_what_and_how_often(self, api: KubernetesApi) -> None:
        started = time.monotonic()
        get(api)
        watched(api)
        get(api, "/version")
        get(api, "/api/v1/namespaces/other/secrets/x")
        assert api.requests.seen() == {("list", "secrets"), ("watch", "secrets"), ("get", "secrets")}
        assert [asked.namespace for asked in api.requests.of("get", "other")] == ["other"]
        assert api.requests.most(10.0) == len(api.requests) == 4
        assert api.requests.rate(started - 10.0) < 0.4
        api.requests.clear()
        assert api.requests.most(1.0) == 0

    def test_the_busiest_stretch_is_found(self) -> None:
        recording = Recording()
        for at in (1.0, 5.0, 5.5, 5.9, 6.0, 9.0):
            recording.add(Asked("list", "secrets", "default", "", LISTED, {}, at))
        assert recording.most(1.0) == 3

    async def test_a_test_can_wait_within_its_loop(self, api: KubernetesApi) -> None:
        asking = asyncio.create_task(asyncio.to_thread(get, api))
        await api.until(lambda: bool(api.requests.of("list")))
        assert (await asking)["kind"] == "SecretList"


class TestRoles:
    def test_secrets_are_read_and_nothing_else_is_touched(self) -> None:
        assert all_permissions(RBAC) == {("list", "secrets"), ("watch", "secrets"), ("get", "secrets")}
        assert permissions(roles(RBAC)["platform-exporter-targets"]) == {("list", "secrets"), ("watch", "secrets")}

    def test_every_role_is_of_one_namespace_and_bound_to_the_one_account(self) -> None:
        parts = manifests(RBAC)
        assert {part["kind"] for part in parts} == {"ServiceAccount", "Role", "RoleBinding"}
        account = next(part["metadata"] for part in parts if part["kind"] == "ServiceAccount")
        bindings = [part for part in parts if part["kind"] == "RoleBinding"]
        assert [each["roleRef"]["name"] for each in bindings] == list(roles(RBAC))
        for each in bindings:
            assert each["metadata"]["namespace"] == roles(RBAC)[each["roleRef"]["name"]]["metadata"]["namespace"]
            assert each["subjects"] == [{"kind": "ServiceAccount", **account}]
