"""The real daemon and a cluster: targets find themselves, within seconds, whatever becomes of the API server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from tests.e2e.cluster import LABELS, TARGETS, TOKEN, document, finding, page_with, status
from tests.fakes.kubernetes import faults
from tests.fakes.kubernetes.api import KubernetesApi
from tests.fakes.kubernetes.real import Place, real_or_fake
from tests.fakes.kubernetes.roles import permissions, roles
from tests.fakes.receiver import Background, Receiver
from tests.faults import canary
from tests.faults.process import Answer, Daemon, python_path, until
from tests.publishing.broken_secrets import BROKEN, CANARY

PLACE = "alert-targets"
RBAC = Path(__file__).parents[2] / "deploy" / "rbac.yaml"
HEALTHY = 'publishing_health_status{target="%s",type="webhook"} 1'
FULL = os.environ.get("FULL") == "1"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    background = Background()
    receiver = Receiver(background)
    yield receiver
    receiver.close()
    background.close()


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with KubernetesApi(tls=True, token=TOKEN) as api:
        api.namespace(PLACE)
        yield api


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with real_or_fake(tmp_path) as place:
        yield place


def good(number: int) -> Mapping[str, str]:
    """Targets in all layouts by turns, each with a secret in every value that is one."""
    name, url = f"target-{number}", f"http://receiver.invalid/{CANARY}?token={CANARY}"
    fields = {"name": name, "type": "webhook", "url": url, "format": "webhook", "headers": {"X-Key": CANARY}}
    layouts: tuple[Mapping[str, str], ...] = (
        {"config": json.dumps(fields)},
        {"config": yaml.safe_dump(fields)},
        {"target.json": json.dumps(fields)},
        {"name": name, "type": "webhook", "url": url, "headers": f"X-Key: {CANARY}"},
        {"target-name": name, "webhook-url": url, "format": "slack", "header-X-Key": CANARY},
    )
    return layouts[number % len(layouts)]


def test_of_300_secrets_in_all_layouts_280_are_targets_and_20_are_told_by_name(
    api: KubernetesApi, tmp_path: Path
) -> None:
    """And not one value of a Secret is in anything it says, at the level of debug."""
    api.put_all([(PLACE, f"good-{number}", good(number), LABELS) for number in range(280)])
    api.put_all([(PLACE, broken.name, broken.data, LABELS) for broken in BROKEN], encoded=True)
    # Nothing on this machine may be probed here, as one of the broken ones would have it.
    with finding(tmp_path, api.kubeconfig(tmp_path / "kubeconfig"), PLACE, every="60s", policy={}) as daemon:
        until(lambda: status(daemon)["targets_valid"] == 280, 20, "all targets are there")
        found = status(daemon)
        assert found["targets_invalid"] == len(BROKEN) == 20
        assert found["targets_discovered"] == 300
        told = {each["document"]: (each["reason"], each["detail"]) for each in found["invalid"]}
        for broken in BROKEN:
            reason, detail = told.pop(f"{PLACE}/{broken.name}")
            assert reason == broken.flaw
            assert broken.told in detail
        assert not told
        page = page_with(daemon, 'publishing_discovered_secrets{status="valid"} 280.0', 5)
        assert (
            page.value("publishing_targets", type="webhook", enabled="true")
            + page.value("publishing_targets", type="slack", enabled="true")
            == 280
        )
        until(lambda: len(daemon.page().series("publishing_health_status")) == 280, 10, "all are shown")
        outputs = dict(canary.answers(daemon))
    outputs |= canary.files(daemon)
    assert [where for where, output in outputs.items() for word in (CANARY, TOKEN) if word.encode() in output] == []


def test_what_changes_in_the_cluster_is_on_the_page_within_two_seconds(
    place: Place, receiver: Receiver, tmp_path: Path
) -> None:
    """Created, changed, disabled, enabled, renamed, broken, mended and deleted, while the watch lives."""
    where, watched = place.namespace, 2.0
    place.api.put(where, "first", document(receiver, "first"), LABELS)
    with finding(tmp_path, place.kubeconfig, where) as daemon:
        page_with(daemon, HEALTHY % "first", 10)
        time.sleep(1.0)  # the watch begins
        place.api.put(where, "second", document(receiver, "second"), LABELS)
        page_with(daemon, HEALTHY % "second", watched)
        place.api.put(where, "second", document(receiver, "second", type="slack"), LABELS)
        page_with(daemon, 'publishing_health_status{target="second",type="slack"} 1', watched)
        place.api.put(where, "second", document(receiver, "second", enabled=False), LABELS)
        page_with(daemon, 'target="second"', watched, there=False)
        place.api.put(where, "second", document(receiver, "renamed"), LABELS)
        page_with(daemon, HEALTHY % "renamed", watched)
        place.api.put(where, "second", {"config": "{"}, LABELS)
        page_with(daemon, 'publishing_discovered_secrets{status="invalid"} 1.0', watched)
        place.api.put(where, "second", document(receiver, "second"), LABELS)
        page_with(daemon, HEALTHY % "second", watched)
        place.api.patch(where, "first", labels={"publishing-target": None})
        page_with(daemon, 'target="first"', watched, there=False)
        place.api.delete(where, "second")
        page = page_with(daemon, 'target="second"', watched, there=False)
        assert 'target="' not in page.text


def test_without_a_watch_changes_are_on_the_page_within_the_time_between_two_lists(
    api: KubernetesApi, receiver: Receiver, tmp_path: Path
) -> None:
    """Created, changed, disabled and deleted."""
    api.fail(faults.refuses(403), "watch")
    refresh = {"interval": "2s"}
    resync = 2.0 + 1.0
    with finding(tmp_path, api.kubeconfig(tmp_path / "kubeconfig"), PLACE, refresh=refresh) as daemon:
        api.put(PLACE, "one", document(receiver, "one"), LABELS)
        page_with(daemon, HEALTHY % "one", resync)
        api.put(PLACE, "one", document(receiver, "one", type="slack"), LABELS)
        page_with(daemon, 'publishing_health_status{target="one",type="slack"} 1', resync)
        api.put(PLACE, "one", document(receiver, "one", enabled=False), LABELS)
        page_with(daemon, 'target="one"', resync, there=False)
        page_with(daemon, 'publishing_targets{type="webhook",enabled="false"} 1.0', resync)
        api.delete(PLACE, "one")
        page_with(daemon, 'publishing_targets{type="webhook",enabled="false"} 0.0', resync)


SLOW = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        pytest.param(faults.drops, 4, id="hangs up for some seconds"),
        pytest.param(faults.drops, 60, id="hangs up for a minute", marks=SLOW),
        pytest.param(faults.refuses(500), 60, id="says 500 for a minute", marks=SLOW),
        pytest.param(
            faults.drops,
            600,
            id="hangs up for ten minutes",
            marks=[*SLOW, pytest.mark.skipif(not FULL, reason="takes ten minutes: FULL=1")],
        ),
    ],
)
def test_an_api_server_that_is_down_at_the_start_is_waited_for(
    api: KubernetesApi, receiver: Receiver, tmp_path: Path, seconds: int, fault: faults.Fault
) -> None:
    """The daemon goes on, asks less than once a second, and has the targets when they come."""
    api.put(PLACE, "one", document(receiver, "one"), LABELS)
    api.fail(fault)
    with finding(tmp_path, api.kubeconfig(tmp_path / "kubeconfig"), PLACE) as daemon:
        api.wait(lambda: len(api.requests) > 0)
        began = time.monotonic()
        time.sleep(seconds)
        assert api.requests.rate(began) < 1.0
        assert daemon.page().own("collector_up", collector="discovery") == 0
        api.heal()
        page_with(daemon, HEALTHY % "one", 33.0)
        assert daemon.page().own("collector_up", collector="discovery") == 1


def test_a_refresh_on_request_is_accepted_limited_or_under_way(api: KubernetesApi, tmp_path: Path) -> None:
    """Each answer has the same shape, and whoever waits as long as told is not refused again."""
    with finding(tmp_path, api.kubeconfig(tmp_path / "kubeconfig"), PLACE) as daemon:
        until(lambda: status(daemon)["status"] == "success", 10, "the first refresh")
        api.fail(faults.slow(1.0), "list", times=1)
        accepted, running = asked(daemon), asked(daemon)
        assert (accepted.status, running.status) == (202, 503)
        began = accepted.json()["refresh_started_at"]
        until(lambda: (status(daemon)["last_refresh"], status(daemon)["status"]) == (began, "success"), 10, "its end")
        limited = asked(daemon)
        assert limited.status == 429
        wait = int(limited.headers["Retry-After"])
        assert 1 <= wait <= 2
        time.sleep(wait)
        again = asked(daemon)
        assert again.status == 202
        answers: list[dict[str, Any]] = [each.json() for each in (accepted, running, limited, again)]
        schema = described(daemon)
        for answer in answers:
            assert list(answer) == list(answers[0])
            jsonschema.validate(answer, schema)
        assert [bool(answer["error"]) for answer in answers] == [False, True, True, False]
        assert answers[0]["refresh_started_at"] == answers[1]["refresh_started_at"]
        assert answers[2]["retry_after_seconds"] == wait


def asked(daemon: Daemon) -> Answer:
    return daemon.ask("POST", f"{TARGETS}/refresh")


def described(daemon: Daemon) -> dict[str, Any]:
    """What the daemon says its answers to this look like: the same for every status."""
    whole: Any = daemon.get("/openapi.json").json()
    answers = whole["paths"][f"{TARGETS}/refresh"]["post"]["responses"]
    schemas = [next(iter(answers[status]["content"].values()))["schema"] for status in ("202", "429", "503")]
    assert schemas[0] == schemas[1] == schemas[2]
    return {"components": whole["components"], **schemas[0]}


def test_the_roles_of_the_deployment_permit_what_is_asked_and_nothing_more(
    api: KubernetesApi, receiver: Receiver, tmp_path: Path
) -> None:
    """A daemon that uses everything: targets in Secrets, a refresh, and an Alertmanager's configuration."""
    targets, alertmanager = (roles(RBAC)[f"platform-exporter-{name}"] for name in ("targets", "alertmanager"))
    (rule,) = alertmanager["rules"]
    (name,) = rule["resourceNames"]
    hook = {"name": "ops", "webhook_configs": [{"url": receiver.url("/am")}]}
    config = yaml.safe_dump({"route": {"receiver": "ops"}, "receivers": [hook]})
    api.put("monitoring", name, {"alertmanager.yaml": config})
    api.put(PLACE, "one", document(receiver, "one"), LABELS)
    api.permit(permissions(targets) | permissions(alertmanager))
    secret = {"secret": f"monitoring/{name}", "key": "alertmanager.yaml"}
    with finding(tmp_path, api.kubeconfig(tmp_path / "kubeconfig"), PLACE, alertmanager=[secret]) as daemon:
        until(lambda: status(daemon)["targets_valid"] == 2, 10, "both targets")
        api.wait(lambda: api.watches == 1)
        assert asked(daemon).status == 202
        until(lambda: status(daemon)["status"] == "success", 10, "a refresh")
        assert {source["reason"] for source in status(daemon)["sources"]} == {None}
    for role in (targets, alertmanager):
        namespace = role["metadata"]["namespace"]
        assert {
            (request.verb, request.resource) for request in api.requests if request.namespace == namespace
        } == permissions(role)
    assert {request.name for request in api.requests if request.namespace == "monitoring"} == {name}
    assert {request.namespace for request in api.requests} == {"monitoring", PLACE}


@pytest.mark.parametrize("clusters", [False, True])
def test_the_client_library_is_imported_only_where_a_cluster_is_configured(
    api: KubernetesApi, tmp_path: Path, clusters: bool
) -> None:
    """It costs half a second and as much memory as all the rest."""
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
    targets = {"kubernetes": {"kubeconfig": str(kubeconfig), "namespaces": [PLACE]}} if clusters else {}
    (tmp_path / "exporter.yaml").write_text(json.dumps({"targets": targets}))
    command = [sys.executable, "-X", "importtime", "-m", "exporter", "once", f"--config.file={tmp_path}/exporter.yaml"]
    environ = {**os.environ, "PYTHONPATH": python_path()}
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert (re.search(r"\| +kubernetes\b", done.stderr) is not None) is clusters
    assert bool(api.requests) is clusters
