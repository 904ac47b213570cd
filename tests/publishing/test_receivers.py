"""Alertmanager's receivers: where each integration sends, what cannot be known, and what is wrong."""

from __future__ import annotations

import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.errors import Failure
from exporter.model.reason import Flaw, Reason
from exporter.model.target import Target
from exporter.publishing.integrations import ENDPOINTS
from exporter.publishing.listing import Listing
from exporter.publishing.receivers import read_receivers
from tests.programs import program

CANARY = "c4n4ry"
FILES = {"/url": "https://file.example/x\n", "/token": "t0ken\n", "/lines": "a\nb"}

EVERYTHING = """
global:
  smtp_smarthost: mail.example.org:587
  smtp_from: alerts@example.org
  slack_api_url_file: /url
  http_config: &login
    authorization: {credentials: t0ken}
route: {receiver: ops}
time_intervals:
- name: day
  time_intervals:
  - times: [{start_time: 09:00, end_time: 17:30}]
receivers:
- name: ops
  webhook_configs:
  - url: https://hook.example.org/a
    send_resolved: yes
    http_config:
      <<: *login
  slack_configs:
  - channel: '#alerts'
  - channel: '#more'
    api_url: https://slack.example.org/b
- name: ops/night shift
  email_configs:
  - to: night@example.org
- name: "null"
"""


def contents(path: str) -> str:
    if path not in FILES:
        raise Failure(Reason.CONFIG, f"no file {path}")
    return FILES[path]


def listing(values: Any) -> Listing:
    return read_receivers(values, "am.yml", contents)


def one(kind: str, settings: Any, **shared: Any) -> Listing:
    """What comes of a configuration with a single integration."""
    return listing({"global": shared, "receivers": [{"name": "ops", f"{kind}_configs": [settings]}]})


def target(kind: str, settings: Any, **shared: Any) -> Target:
    found = one(kind, settings, **shared)
    assert found.invalid == ()
    assert len(found.targets) == 1
    return found.targets[0]


def url(kind: str, settings: Any, **shared: Any) -> str:
    return target(kind, settings, **shared).url.reveal()


def header(kind: str, settings: Any, **shared: Any) -> str | None:
    headers = target(kind, settings, **shared).headers
    return headers["Authorization"].reveal() if headers else None


def refusal(found: Listing) -> tuple[str, Flaw, str]:
    """The only thing that is wrong, without a word of the values."""
    assert found.targets == ()
    (wrong,) = found.invalid
    assert wrong.origin == "alertmanager"
    assert CANARY not in str(wrong)
    return wrong.document, wrong.flaw, wrong.detail


def test_each_integration_of_each_receiver_is_a_target() -> None:
    found = listing(yaml.safe_load(EVERYTHING))
    assert found.invalid == ()
    assert {target.name: (target.type, target.url.reveal()) for target in found.targets} == {
        "ops/webhook/0": ("webhook", "https://hook.example.org/a"),
        "ops/slack/0": ("slack", "https://file.example/x"),
        "ops/slack/1": ("slack", "https://slack.example.org/b"),
        "ops/night shift/email/0": ("email", "smtp://mail.example.org:587"),
    }
    assert {(target.format, target.origin, target.source) for target in found.targets} == {
        ("alertmanager", "alertmanager", "am.yml")
    }


def test_a_receiver_without_integrations_is_counted_with_none() -> None:
    assert listing(yaml.safe_load(EVERYTHING)).integrations == {"ops": 3, "ops/night shift": 1, "null": 0}


def test_amtool_accepts_the_configuration_these_tests_begin_with(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("https://file.example/x")
    file = tmp_path / "alertmanager.yml"
    file.write_text(EVERYTHING)
    checked = subprocess.run([program("amtool"), "check-config", str(file)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr + checked.stdout


@pytest.mark.parametrize(
    "kind", sorted(kind for kind, endpoint in ENDPOINTS.items() if endpoint.key and kind != "email")
)
def test_an_integration_sends_to_the_url_it_is_given(kind: str) -> None:
    key = ENDPOINTS[kind].key
    assert url(kind, {key: "https://own.example/x"}) == "https://own.example/x"
    assert url(kind, {f"{key}_file": "/url", key: ""}) == "https://file.example/x"


@pytest.mark.parametrize(
    "kind", sorted(kind for kind, endpoint in ENDPOINTS.items() if endpoint.shared and kind != "email")
)
def test_without_one_it_sends_to_the_url_for_all_receivers(kind: str) -> None:
    key, shared = ENDPOINTS[kind].key, ENDPOINTS[kind].shared
    assert url(kind, None, **{shared: "https://all.example/"}) == "https://all.example/"
    assert url(kind, {}, **{f"{shared}_file": "/url"}) == "https://file.example/x"
    assert url(kind, {key: "https://own.example/x"}, **{shared: "https://all.example/"}) == "https://own.example/x"


@pytest.mark.parametrize("kind", sorted(ENDPOINTS))
def test_without_both_it_sends_to_its_vendor_or_is_a_flaw(kind: str) -> None:
    if ENDPOINTS[kind].vendor:
        assert url(kind, {"token": "x"}) == ENDPOINTS[kind].vendor
    elif kind != "sns":
        place, flaw, detail = refusal(one(kind, {}))
        assert (place, flaw) == (f"am.yml ops/{kind}/0", Flaw.MISSING)
        assert detail == f"{ENDPOINTS[kind].key}: not given, and no default for all receivers"


def test_the_url_of_a_pushover_message_is_not_where_it_is_sent() -> None:
    assert url("pushover", {"url": "https://dashboard.example/"}) == "https://api.pushover.net/1/messages.json"


# ── slack, sns, email ────────────────────────────────────────────────────────────────────────────────────────────────


def test_slack_with_the_token_of_an_app_sends_to_its_api() -> None:
    api = "https://slack.com/api/chat.postMessage"
    assert url("slack", {"app_token": "x"}) == url("slack", {"app_token_file": "/token"}) == api
    assert url("slack", {}, slack_app_token="x") == api
    assert url("slack", {"app_token": "x", "app_url": "https://own.example/"}) == "https://own.example/"
    assert url("slack", {"app_token": "x"}, slack_app_url="https://all.example/") == "https://all.example/"
    assert header("slack", {"app_token_file": "/token"}) == "Bearer t0ken"


def test_slack_with_an_address_or_a_login_of_its_own_takes_no_token_of_all_receivers() -> None:
    shared = {"slack_app_token": "x", "slack_api_url": "https://all.example/"}
    own = {"api_url": "https://own.example/"}
    assert (url("slack", own, **shared), header("slack", own, **shared)) == ("https://own.example/", None)
    login = {"http_config": {"authorization": {"credentials": "k"}}}
    assert (url("slack", login, **shared), header("slack", login, **shared)) == ("https://all.example/", "Bearer k")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"sigv4": {"region": "eu-central-1"}}, "https://sns.eu-central-1.amazonaws.com/"),
        ({"topic_arn": "arn:aws:sns:us-east-2:1234:topic"}, "https://sns.us-east-2.amazonaws.com/"),
        ({"target_arn": "arn:aws-cn:sns:cn-north-1:1:x"}, "https://sns.cn-north-1.amazonaws.com.cn/"),
    ],
)
def test_sns_sends_to_its_region(settings: dict[str, Any], expected: str) -> None:
    assert url("sns", settings) == expected


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("sns", {"phone_number": "1"}),
        ("sns", {"topic_arn": "topic"}),
        ("sns", {"sigv4": {"region": "evil.example/"}}),
        ("sns", {"api_url": "{{ .CommonLabels.url }}"}),
        ("webhook", {"url": "https://h/{{ .CommonLabels.team }}"}),
    ],
)
def test_an_address_only_alertmanager_can_tell_is_no_target_but_counted(kind: str, settings: dict[str, Any]) -> None:
    found = one(kind, settings)
    assert (found.targets, found.invalid, found.integrations) == ((), (), {"ops": 1})


@pytest.mark.parametrize(
    ("smarthost", "expected"),
    [
        ("mail:25", "smtp://mail:25"),
        ("[::1]:465", "smtp://[::1]:465"),
        ("mail:submission", "smtp://mail:587"),
        ("10.0.0.1:2525", "smtp://10.0.0.1:2525"),
    ],
)
def test_mail_is_sent_to_a_host_and_port(smarthost: str, expected: str) -> None:
    found = target("email", {"smarthost": smarthost}, http_config={"bearer_token": CANARY})
    assert (found.url.reveal(), found.shown, found.headers) == (expected, expected, {})


@pytest.mark.parametrize(
    "smarthost",
    [
        "mail",
        ":25",
        "mail:0",
        "mail:65536",
        "mail:port",
        "mail:25/x",
        "a@mail:25",
        "[::1:25",
        "[x]:25",
        "a b:25",
        "ma\til:25",
        "::1:25",
    ],
)
def test_a_smarthost_that_is_no_host_and_port_is_a_flaw(smarthost: str) -> None:
    assert refusal(one("email", {"smarthost": smarthost}))[1:] == (Flaw.FIELD, "smarthost: expected host:port")


# ── credentials ──────────────────────────────────────────────────────────────────────────────────────────────────────

BASIC = "Basic " + b64encode(b"me:t0ken").decode()


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ({"authorization": {"credentials": "k"}}, "Bearer k"),
        ({"authorization": {"type": "Token", "credentials_file": "/token"}}, "Token t0ken"),
        ({"basic_auth": {"username": "me", "password_file": "/token"}}, BASIC),
        ({"bearer_token": "k"}, "Bearer k"),
        ({"bearer_token_file": "/token"}, "Bearer t0ken"),
        ({"authorization": {}}, None),
        ({"proxy_url": "http://p"}, None),
    ],
)
def test_a_login_that_is_a_plain_header_is_one_of_the_target(client: dict[str, Any], expected: str | None) -> None:
    settings = {"url": "https://h/"}
    assert header("webhook", settings | {"http_config": client}) == expected
    assert header("webhook", settings, http_config=client) == expected
    assert header("webhook", settings | {"http_config": {}}, http_config=client) is None


def test_a_login_that_cannot_be_sent_is_a_flaw() -> None:
    settings = {"url": "https://h/", "http_config": {"bearer_token_file": "/lines"}}
    assert refusal(one("webhook", settings))[1:] == (
        Flaw.FIELD,
        "http_config: a credential that cannot be sent as a header",
    )


def test_a_user_in_a_url_is_as_good_as_to_alertmanager() -> None:
    found = target("webhook", {"url": f"https://me:{CANARY}@h/"})
    assert (found.shown, CANARY in repr(found)) == ("https://h", False)


# ── what is wrong ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("settings", "flaw", "detail"),
    [
        ({"url": "<secret>"}, Flaw.FIELD, "url: withheld by Alertmanager's API; its configuration file has it"),
        ({"url_file": f"/{CANARY}"}, Flaw.MISSING, "url_file: the file cannot be read"),
        ({"url": CANARY}, Flaw.FIELD, "url: the url must begin with http:// or https://"),
        ({"url": f"https://h:{CANARY}/"}, Flaw.FIELD, "url: the url has a host or port that is not legal"),
        ({"url": [CANARY]}, Flaw.FIELD, "url: expected a text"),
        ({"url": True}, Flaw.FIELD, "url: expected a text"),
        ({"url": "https://h", "http_config": CANARY}, Flaw.FIELD, "http_config: expected a mapping"),
        (CANARY, Flaw.FIELD, "expected a mapping (keys with values)"),
    ],
)
def test_what_is_wrong_with_an_integration_is_told_with_its_name(settings: Any, flaw: Flaw, detail: str) -> None:
    assert refusal(one("webhook", settings)) == ("am.yml ops/webhook/0", flaw, detail)


def test_one_broken_integration_leaves_the_others() -> None:
    found = listing({"receivers": [{"name": "ops", "webhook_configs": [5, {"url": "https://h/"}, None]}]})
    assert [target.name for target in found.targets] == ["ops/webhook/1"]
    assert [wrong.document for wrong in found.invalid] == ["am.yml ops/webhook/0", "am.yml ops/webhook/2"]
    assert found.integrations == {"ops": 3}


@pytest.mark.parametrize(
    ("key", "given", "detail", "count"),
    [
        ("carrier_pigeon_configs", [{}, {}], "carrier_pigeon_configs: an integration that is not known here", 2),
        ("carrier_pigeon_configs", {}, "carrier_pigeon_configs: an integration that is not known here", 1),
        (f"{CANARY} https://_configs", [], "a key that ends in _configs: an integration that is not known here", 0),
        ("slack_configs", {"url": CANARY}, "slack_configs: expected a list", 0),
    ],
)
def test_an_integration_of_an_unknown_kind_or_form_is_told_and_counted(
    key: str, given: Any, detail: str, count: int
) -> None:
    found = listing({"receivers": [{"name": "ops", key: given}]})
    assert refusal(found) == ("am.yml ops", Flaw.FIELD, detail)
    assert found.integrations == {"ops": count}


def test_a_kind_with_nothing_below_is_no_integration() -> None:
    found = listing({"receivers": [{"name": 5, "slack_configs": None, "webhook_configs": [], "labels": {}, 5: 6}]})
    assert (found.targets, found.invalid, found.integrations) == ((), (), {"5": 0})


@pytest.mark.parametrize(
    ("receiver", "flaw"),
    [
        (CANARY, Flaw.FIELD),
        (None, Flaw.FIELD),
        ({}, Flaw.MISSING),
        ({"name": ""}, Flaw.MISSING),
        ({"name": [CANARY]}, Flaw.FIELD),
        ({"name": True}, Flaw.FIELD),
        ({"name": f"{CANARY}\n"}, Flaw.FIELD),
        ({"name": CANARY * 100}, Flaw.FIELD),
    ],
)
def test_a_receiver_without_a_usable_name_is_told_by_its_place(receiver: Any, flaw: Flaw) -> None:
    found = listing({"receivers": [{"name": "ops"}, receiver]})
    assert refusal(found)[:2] == ("am.yml receivers[1]", flaw)
    assert found.integrations == {"ops": 0}


def test_of_two_receivers_with_one_name_the_first_counts() -> None:
    found = listing({"receivers": [{"name": "ops"}, {"name": "ops", "webhook_configs": [{"url": "https://h/"}]}]})
    assert refusal(found) == ("am.yml receivers[1]", Flaw.DUPLICATE, "another receiver is named ops")
    assert found.integrations == {"ops": 0}


@pytest.mark.parametrize(
    ("values", "flaw"),
    [
        (None, Flaw.SYNTAX),
        ([CANARY], Flaw.SYNTAX),
        (CANARY, Flaw.SYNTAX),
        ({}, Flaw.MISSING),
        ({"receivers": {}}, Flaw.FIELD),
        ({"receivers": CANARY}, Flaw.FIELD),
        ({"receivers": [], "global": CANARY}, Flaw.FIELD),
    ],
)
def test_what_is_no_configuration_is_told_as_a_whole(values: Any, flaw: Flaw) -> None:
    assert refusal(listing(values))[:2] == ("am.yml", flaw)


# ── anything at all ──────────────────────────────────────────────────────────────────────────────────────────────────

URL_KEYS = sorted({key for endpoint in ENDPOINTS.values() for key in (endpoint.key, endpoint.shared)})
KEYS = st.sampled_from([*URL_KEYS, *(f"{key}_file" for key in URL_KEYS)]) | st.sampled_from(
    ["http_config", "authorization", "credentials", "basic_auth", "password", "app_token", "sigv4", "topic_arn"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["https://h/", "mail:25", "<secret>"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
)
KINDS = st.sampled_from([f"{kind}_configs" for kind in ENDPOINTS])


@given(VALUES, VALUES, st.dictionaries(KINDS, st.lists(VALUES, max_size=3) | VALUES), VALUES)
def test_no_configuration_raises(shared: Any, receivers: Any, receiver: dict[str, Any], whole: Any) -> None:
    for values in (whole, {"global": shared, "receivers": receivers}):
        assert isinstance(listing(values), Listing)
    found = listing({"global": shared, "receivers": [receiver | {"name": "ops"}, receivers]})
    assert all(target.shown for target in found.targets)


@given(st.dictionaries(KEYS, st.text(max_size=4).map(lambda text: f"{text}{CANARY}"), max_size=4), KINDS, VALUES)
def test_no_report_holds_a_value(settings: dict[str, Any], kind: str, other: Any) -> None:
    for client in ({}, {"http_config": settings}, {"http_config": {"authorization": settings}}):
        found = listing({"global": settings, "receivers": [{"name": "ops", kind: [settings | client, CANARY, other]}]})
        assert all(CANARY not in str(wrong) for wrong in found.invalid)
        assert all(CANARY not in repr(target) for target in found.targets)
