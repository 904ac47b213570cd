"""Secrets: four layouts of good ones, twenty ways of bad ones, and nothing of either in a report."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.reason import Flaw
from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.document import TYPES
from exporter.publishing.layouts import Layout, layout
from exporter.publishing.listing import Invalid
from exporter.publishing.payload import DEEPEST, LARGEST, Parse
from exporter.publishing.policy import AddressPolicy
from exporter.publishing.secret import read_secret
from tests.publishing.broken_secrets import BROKEN, CANARY, GOOD, LABELS, Broken, encoded

SAMPLES = Path(__file__).parents[2] / "deploy" / "targets"
POLICY = AddressPolicy()
FIELDS = {"type": "webhook", "url": "https://hooks.example.org/x"}
HELM = {"target-name": "ops", "webhook-url": "https://hooks.example.org/x"}


def read_yaml(text: str) -> object:
    """As whoever wires the sources does it, if less strictly."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, ArithmeticError):
        raise ValueError("line 1, column 1: not YAML; " * 100) from None


def read(
    data: Mapping[str, str | bytes], labels: Mapping[str, str] = LABELS, parse: Parse | None = None
) -> Target | Invalid | None:
    return read_secret("monitoring", "alerts", encoded(data), labels, POLICY, parse)


def target(data: Mapping[str, str | bytes], labels: Mapping[str, str] = LABELS) -> Target:
    found = read(data, labels)
    assert isinstance(found, Target), found
    return found


def invalid(data: Mapping[str, str | bytes], parse: Parse | None = None) -> Invalid:
    found = read(data, parse=parse)
    assert isinstance(found, Invalid), found
    assert CANARY not in str(found)
    return found


def config(**changed: Any) -> dict[str, str | bytes]:
    return {"config": json.dumps(GOOD | changed)}


def headers(found: Target) -> dict[str, str]:
    return {name: value.reveal() for name, value in found.headers.items()}


def samples(file: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((SAMPLES / file).read_text()))


# ── layouts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("config.yaml", Layout.CONFIG),
        ("target-json.yaml", Layout.TARGET_JSON),
        ("fields.yaml", Layout.FIELDS),
        ("helm.yaml", Layout.HELM),
    ],
)
def test_w_d1_the_samples_of_a_layout_are_targets_of_all_types(file: str, expected: Layout) -> None:
    found = {}
    for sample in samples(file):
        assert layout(sample["stringData"]) == expected
        result = target(sample["stringData"], sample["metadata"]["labels"])
        found[result.type] = result
        assert result.enabled == (f"{result.type} {file}" not in ("slack fields.yaml", "slack target-json.yaml"))
        assert (result.origin, result.source) == ("kubernetes", "monitoring/alerts")
        assert result.headers or result.type == "slack"
    assert sorted(found) == sorted(TYPES)
    assert found["webhook"].format == "alertmanager"
    assert found["pagerduty"].headers == {"routing_key": Secret("REPLACE-ME")}


def test_all_samples_can_be_applied_to_one_cluster() -> None:
    secrets = [sample for file in SAMPLES.glob("*.yaml") for sample in samples(file.name)]
    assert {secret["kind"] for secret in secrets} == {"Secret"}
    assert len({secret["metadata"]["name"] for secret in secrets}) == len(secrets) == 16
    names = [
        found.name
        for secret in secrets
        if isinstance(
            found := read_secret("n", secret["metadata"]["name"], encoded(secret["stringData"]), LABELS, POLICY), Target
        )
    ]
    assert len(set(names)) == len(names) == 16


def test_a_document_may_be_base64_once_more_and_wrapped_like_a_mail() -> None:
    text = b64encode(json.dumps(GOOD).encode()).decode()
    wrapped = "".join(f"{text[i : i + 76]}\n" for i in range(0, len(text), 76))
    assert target({"config": text}) == target({"config": wrapped}) == target(config())
    padded = b64encode(f"\n {json.dumps(GOOD | {'url': 5})}".encode())
    assert invalid({"config": padded}, read_yaml).detail == "layout config: url: expected a string"
    half = b64encode(f"\n {json.dumps(GOOD)[:-9]}".encode())
    assert invalid({"config": half}, read_yaml).detail.startswith("layout config: not JSON: ")
    assert isinstance(
        read({"config": b64encode(b"name: ops\ntype: slack\nurl: https://h/\n")}, parse=read_yaml), Target
    )


def test_a_byte_order_mark_is_no_part_of_a_document() -> None:
    assert target({"config": b"\xef\xbb\xbf" + json.dumps(GOOD).encode()}) == target(config())


def test_what_is_not_json_is_read_by_whoever_can() -> None:
    written = {"config": "# ours\nname: ops\ntype: slack\nurl: https://h/x\nenabled: false\n"}
    found = read(written, parse=read_yaml)
    assert isinstance(found, Target)
    assert (found.name, found.type, found.enabled) == ("ops", "slack", False)
    assert invalid(written).detail == "layout config: not JSON: line 1, column 1"
    broken = invalid({"config": f"name: '{CANARY}\n"}, read_yaml)
    assert (broken.flaw, broken.detail[:41]) == (Flaw.SYNTAX, "layout config: line 1, column 1: not YAML")
    assert len(broken.detail) < 300
    assert invalid({"config": f"- {CANARY}\n"}, read_yaml).flaw == Flaw.SYNTAX


def test_a_secret_names_no_file_of_the_daemon() -> None:
    document = {"name": "ops", "type": "slack", "url_file": "/etc/passwd", "headers_file": {"a": "/etc/passwd"}}
    assert invalid({"config": json.dumps(document)}).detail == "layout config: url: required and not given"
    assert target(config(headers_file={"a": "/etc/passwd"}, filters=1, metadata=[])).headers == {}


def test_of_two_layouts_in_one_secret_the_first_is_meant() -> None:
    assert target(config(name="first") | FIELDS | HELM).name == "first"
    assert layout(FIELDS | HELM) == Layout.HELM
    assert layout({"password": ""}) is None


# ── one key for each field ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_target_without_a_name_has_the_name_of_its_secret() -> None:
    assert target(FIELDS).name == "alerts"
    assert target(FIELDS | {"name": "ops\n"}).name == "ops"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=b==,C=d,e", {"A": "b==", "C": "d,e"}),
        ("A: b\nC: 'd: e'\n\n", {"A": "b", "C": "d: e"}),
        ('"A": b=c,D=e', {"A": "b=c,D=e"}),
        ("A=b\nC: d", {"A": "b", "C": "d"}),
        ("A=b: c", {"A": "b: c"}),
        ("", {}),
    ],
)
def test_headers_may_be_pairs_or_lines(text: str, expected: dict[str, str]) -> None:
    assert headers(target(FIELDS | {"headers": text})) == expected


@pytest.mark.parametrize("text", [CANARY, f"A=b,=c{CANARY}\n-", "A=", f"A=b,a={CANARY}", f"A=b,A={CANARY}"])
def test_headers_that_are_neither_are_a_flaw(text: str) -> None:
    assert invalid(FIELDS | {"headers": text}).detail.startswith("layout fields: headers: ")


@pytest.mark.parametrize("key", ["api_key", "api-key", "auth_token", "auth-token", "token"])
def test_a_key_or_token_becomes_a_bearer_token(key: str) -> None:
    for data in (FIELDS, HELM):
        assert headers(target(data | {key: "k\n"})) == {"Authorization": "Bearer k"}
        assert headers(target(data | {key: "Bearer k"})) == {"Authorization": "Bearer k"}
        assert headers(target(data | {key: ""})) == {}


def test_two_credentials_for_one_header_are_a_flaw() -> None:
    assert "given twice" in invalid(FIELDS | {"api_key": CANARY, "auth_token": CANARY}).detail
    assert "given twice" in invalid(FIELDS | {"api_key": CANARY, "headers": f"authorization={CANARY}"}).detail


def test_a_key_that_cannot_be_decoded_is_named() -> None:
    found = read_secret("n", "s", encoded(FIELDS) | {"api-key": "%"}, LABELS, POLICY)
    assert found == Invalid("kubernetes", "n/s", Flaw.ENCODING, "layout fields: api-key: not base64")


# ── the chart's ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "kind", "form"),
    [
        ({"format": "slack"}, "slack", "slack"),
        ({"type": "webhook", "format": "rootly"}, "rootly", "rootly"),
        ({"type": "pagerduty"}, "pagerduty", "pagerduty"),
        ({"format": "alertmanager"}, "webhook", "alertmanager"),
        ({}, "webhook", "webhook"),
    ],
)
def test_the_format_of_a_chart_carries_the_vendor(data: dict[str, str], kind: str, form: str) -> None:
    found = target(HELM | data)
    assert (found.name, found.type, found.format) == ("ops", kind, form)


def test_labels_of_a_chart_stand_in_for_keys() -> None:
    labels = {
        f"alert-history.io/target{key}": value for key, value in (("", "true"), ("-name", "l"), ("-format", "slack"))
    }
    assert target({"webhook-url": "https://h/"}, labels).name == "l"
    assert target({"webhook-url": "https://h/"}, labels).type == "slack"
    assert target(HELM, labels).name == "ops"
    assert invalid({"webhook-url": "https://h/"}).detail == "layout helm: target-name: required and not given"
    assert invalid({"target-name": "ops"}).detail == "layout helm: webhook-url: required and not given"


def test_headers_and_filters_of_a_chart_reach_the_target() -> None:
    found = target(
        HELM
        | {"header-X-Api_Key": "k", "auth-header": "Basic eA==", "enabled": "false", "filter-namespaces": "a, b"}
        | {"exclude-noise": "true", "min-confidence": "0.8"}
    )
    assert headers(found) == {"X-Api_Key": "k", "Authorization": "Basic eA=="}
    assert found.filter_config == {"namespaces": ["a", "b"], "exclude_noise": "true", "min_confidence": "0.8"}
    assert not found.enabled
    assert headers(target(HELM | {"auth-header": "X-Api-Key: k"})) == {"X-Api-Key": "k"}


# ── enabled ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", [False, 0, "false", "False", "no", "off", "0", " FALSE "], ids=repr)
def test_w_d3_what_is_disabled_stays_disabled_in_every_spelling(value: Any) -> None:
    assert not target(config(enabled=value)).enabled
    assert not target(config(enabled=value, headers={"a": "b"}, filter_config={"a": 1})).enabled
    assert not target(FIELDS | {"enabled": str(value)}).enabled


@pytest.mark.parametrize("value", [True, 1, "true", "yes", "on", "1"], ids=repr)
def test_w_d3_what_is_enabled_or_says_nothing_is_enabled(value: Any) -> None:
    assert target(config(enabled=value)).enabled
    assert target(FIELDS | {"enabled": f"{value}\n"}).enabled
    assert target(config(headers={"a": "b"})).enabled
    assert target(FIELDS).enabled


@pytest.mark.parametrize("value", [None, 2, 0.0, "", "flase", CANARY, [], {}, [False]], ids=repr)
def test_w_d3_any_other_enabled_is_a_flaw(value: Any) -> None:
    found = invalid(config(enabled=value))
    assert (found.flaw, found.detail) == (Flaw.FIELD, "layout config: enabled: expected true or false")


def test_a_document_that_says_no_more_than_disabled_is_no_target() -> None:
    found = invalid({"config": '{"enabled": false}'})
    assert found.detail.count("required and not given") == 3


# ── what is not meant, and what is wrong ─────────────────────────────────────────────────────────────────────────────


def test_a_secret_that_is_not_marked_and_has_no_layout_is_skipped() -> None:
    assert read({"password": "x"}, {}) is None
    assert read({}, {"team": "ops"}) is None
    assert invalid({}).flaw == Flaw.MISSING
    assert isinstance(read({}, {"alert-history.io/target": "true"}), Invalid)


def test_a_secret_that_is_marked_as_no_target_is_skipped() -> None:
    assert read(config(), {"publishing-target": "false"}) is None
    assert read(config(), {"alert-history.io/target": "no"}) is None


def test_a_selector_of_the_operator_is_mark_enough() -> None:
    assert target(config(), {"team": "ops"}).name == "ops"


@pytest.mark.parametrize("secret", BROKEN, ids=lambda secret: secret.name)
def test_k8s9_a_broken_secret_is_told_with_its_name_and_reason_and_nothing_of_it(secret: Broken) -> None:
    found = read_secret("monitoring", secret.name, secret.data, LABELS, POLICY)
    assert isinstance(found, Invalid)
    assert (found.origin, found.document, found.flaw) == ("kubernetes", f"monitoring/{secret.name}", secret.flaw)
    assert secret.told in found.detail
    assert CANARY not in str(found)
    assert len(found.detail) < 300


def test_the_broken_secrets_are_twenty_of_all_flaws_and_layouts() -> None:
    assert len({secret.name for secret in BROKEN}) == len(BROKEN) == 20
    assert {secret.flaw for secret in BROKEN} == set(Flaw) - {Flaw.DUPLICATE}
    assert {layout(secret.data) for secret in BROKEN} == {None, *Layout}


def test_every_mistake_of_a_secret_is_told_at_once() -> None:
    found = invalid(config(name="-", type=CANARY, url="ftp://h", enabled=CANARY, headers={CANARY: "", "b": 1}))
    assert found.detail == (
        "layout config: enabled: expected true or false; "
        "name: expected 1 to 63 of a-z, 0-9 and '-', with no '-' at either end; "
        "type: expected 'rootly', 'pagerduty', 'slack' or 'webhook'; "
        "url: the url must begin with http:// or https://; headers: the header is empty"
    )
    both = invalid(config(name="health", url="http://127.0.0.1/"))
    assert both.flaw == Flaw.FIELD
    assert both.detail.endswith("; url: refused, an address inside the host or the link")


@pytest.mark.parametrize(("key", "value"), [("headers", []), ("filter_config", "x"), ("url", None), ("name", 5)])
def test_a_field_of_a_wrong_type_is_named(key: str, value: Any) -> None:
    assert f"layout config: {key}: expected a" in invalid(config(**{key: value})).detail


@pytest.mark.parametrize("number", ["1e999", "-Infinity", "9" * 5000])
def test_k8s9_a_number_that_is_none_is_a_flaw(number: str) -> None:
    assert invalid({"config": f'{{"filter_config": {number}}}'}).flaw == Flaw.SYNTAX


@pytest.mark.parametrize("text", ["null", "5", '"x"', "[]", "true"])
def test_k8s9_a_document_that_is_no_object_is_a_flaw(text: str) -> None:
    assert invalid({"config": text}).detail == "layout config: expected one object with keys and values"


def test_k8s9_depth_and_size_are_bounded_exactly() -> None:
    def deep(levels: int) -> dict[str, Any]:
        return {} if levels == 1 else {"a": deep(levels - 1)}

    assert target(config(filter_config=deep(DEEPEST - 1))).name == "ops"
    assert "nested deeper" in invalid(config(filter_config=deep(DEEPEST))).detail
    assert target({"config": json.dumps(GOOD).ljust(LARGEST)}).name == "ops"
    assert "larger than" in invalid({"config": json.dumps(GOOD).ljust(2 * LARGEST)}).detail


@pytest.mark.parametrize("url", ["https://h/\ud800", "https://\udfff/"])
def test_half_a_character_in_a_url_is_a_flaw(url: str) -> None:
    assert invalid(config(url=url)).flaw == Flaw.FIELD


# ── policy ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "１２７。０。０。１",
        "127%2e0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fe80::1%25eth0]",
        "169.254.1.1",
        "169.254.169.254",
        "2852039166",
        "[fd00:ec2::254]",
        "metadata.google.internal",
        "kubernetes",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local.",
    ],
)
def test_k8s12_a_url_that_leads_inside_is_refused_however_it_is_spelled(host: str) -> None:
    found = invalid(config(url=f"http://{host}:8080/{CANARY}"))
    assert (found.flaw, found.detail[:28]) == (Flaw.POLICY, "layout config: url: refused,")


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "alerts.example.org", "kubernetes.example.org", "[2001:db8::1]", "ü.de", "ü" * 70]
)
def test_k8s12_a_url_that_may_lead_elsewhere_is_left_to_the_guard_of_connections(host: str) -> None:
    assert target(config(url=f"http://{host}/")).name == "ops"


def test_k8s12_what_the_operator_allows_is_allowed_here_too() -> None:
    policy = AddressPolicy(allow=(ip_network("127.0.0.0/8"),), deny=(ip_network("10.0.0.0/8"),))
    inside = read_secret("n", "s", encoded(config(url="http://localhost/")), LABELS, policy)
    assert isinstance(inside, Target)
    denied = read_secret("n", "s", encoded(config(url="http://10.1.1.1/")), LABELS, policy)
    assert isinstance(denied, Invalid)
    assert denied.detail == "layout config: url: refused, denied by targets.policy"


# ── anything at all ──────────────────────────────────────────────────────────────────────────────────────────────────

KEYS = st.sampled_from(
    ["config", "target.json", "url", "type", "name", "enabled", "headers", "api_key", "token", "routing-key"]
) | st.sampled_from(["webhook-url", "format", "target-name", "header-A", "auth-header", "filter-severity"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "headers", "x"]) | st.text(), inner)
    ),
)


@given(
    st.dictionaries(KEYS, st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | st.text().map(str.encode))
)
def test_no_secret_raises(data: dict[str, bytes]) -> None:
    for parse in (None, read_yaml):
        assert isinstance(read(data, parse=parse), Target | Invalid)


@given(st.dictionaries(KEYS, st.text()))
def test_no_data_that_is_not_base64_raises(data: dict[str, str]) -> None:
    assert isinstance(read_secret("n", "s", data, LABELS, POLICY), Target | Invalid)


@given(
    st.dictionaries(KEYS, st.text(max_size=5).map(lambda text: f"{text}{CANARY}")),
    st.dictionaries(st.sampled_from([*GOOD, "enabled", "headers", "format", "filter_config"]), JSON),
)
def test_no_report_holds_a_value(data: dict[str, str], document: dict[str, Any]) -> None:
    marked = json.dumps({key: {CANARY: value, key: CANARY} for key, value in document.items()} | {CANARY: CANARY})
    for written in (data, {"config": marked}, {"config": f"{marked}{CANARY}"}, {"config": f"{CANARY}: {marked}"}):
        for parse in (None, read_yaml):
            found = read(written, parse=parse)
            assert CANARY not in (found.detail if isinstance(found, Invalid) else repr(found))
