"""Durations, secrets, addresses and networks: what is read, what is refused, and that no refusal quotes it."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from exporter.config.types import (
    Duration,
    ListenAddress,
    ListenAddresses,
    MetricPrefix,
    Names,
    Network,
    SecretText,
    UrlPath,
    format_duration,
    parse_duration,
)
from exporter.model.secret import MASK, Secret

NO_PATH = "expected a path such as /metrics"
TAKEN = "this path is taken by another page"


def refusal(kind: Any, value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return caught.value.errors()[0]["msg"].removeprefix("Value error, ")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("15s", 15),
        ("5m", 300),
        ("1h30m", 5400),
        ("400d", 34_560_000),
        ("1w", 604_800),
        ("1y", 31_536_000),
        ("1d2h3m4s5ms", 93_784.005),
        ("90m", 5400),
        ("007s", 7),
    ],
)
def test_durations_are_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert TypeAdapter(Duration).validate_json(f'"{text}"') == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "5", "1.5s", "s", "5 s", "15S", "1m1h", "1s1s", "-1s", "0s", "0h0m", "٣s", "99999999999s",
     "101y", "5s\n"],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_a_number_without_unit_is_refused_in_a_file_and_taken_from_code() -> None:
    duration = TypeAdapter(Duration)
    with pytest.raises(ValidationError, match="a duration needs a unit, such as 15s or 5m"):
        duration.validate_json("15")
    assert duration.validate_python(15) == 15.0
    assert refusal(Duration, 0) == "a duration needs a unit, such as 15s or 5m"
    assert refusal(Duration, True) == "expected a duration such as 15s or 5m"
    assert refusal(Duration, None) == "expected a duration such as 15s or 5m"


@given(st.integers(min_value=1, max_value=10**12))
def test_every_duration_survives_being_written_and_read(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    text = format_duration(seconds)
    assert parse_duration(text) == seconds
    assert re.search(TypeAdapter(Duration).json_schema()["pattern"], text)


def test_a_secret_is_wrapped_and_dumps_as_its_mask() -> None:
    secret = TypeAdapter(SecretText)
    assert secret.validate_python("hunter2") == Secret("hunter2")
    assert secret.validate_python(Secret("hunter2")) == Secret("hunter2")
    assert secret.dump_json(Secret("hunter2")) == f'"{MASK}"'.encode()
    assert secret.json_schema() == {"type": "string", "writeOnly": True}
    assert refusal(SecretText, "") == "must not be empty"
    assert refusal(SecretText, 1234) == "expected text in quotes"


@pytest.mark.parametrize(
    "address",
    [":0", ":9847", "127.0.0.1:9847", "localhost:1", "[::1]:65535", "[fe80::1]:1", "a.example.org.:80", "my_host:1"],
)  # fmt: skip
def test_addresses_to_listen_on_are_kept_as_written(address: str) -> None:
    assert TypeAdapter(ListenAddress).validate_python(address) == address


@pytest.mark.parametrize(
    "address",
    ["", "9847", "localhost", "localhost:", "localhost:http", ":99999", ":-1", ":٣", "::1:80", "[::1]", "[1.2.3.4]:80",
     "http://localhost:80", "user@host:80", "a b:80", ".:80", 9847, None, ["a:1"]],
    ids=repr,
)  # fmt: skip
def test_what_cannot_be_listened_on_is_refused(address: Any) -> None:
    said = refusal(ListenAddress, address)
    assert "address" in said
    assert not isinstance(address, str) or len(address) < 8 or address not in said


def test_at_least_one_address_is_needed_and_none_twice() -> None:
    assert refusal(ListenAddresses, ()) == "needs at least one entry"
    assert refusal(ListenAddresses, (":1", ":1")) == "an entry is given twice"
    assert refusal(Names, ("a", "a")) == "an entry is given twice"
    assert TypeAdapter(ListenAddresses).json_schema()["minItems"] == 1


def test_networks_and_addresses_are_read_and_dumped() -> None:
    network = TypeAdapter(Network)
    assert network.validate_python("10.0.0.0/8") == ip_network("10.0.0.0/8")
    assert network.validate_python("::1") == ip_network("::1/128")
    assert network.validate_python(ip_network("10.0.0.0/8")) == ip_network("10.0.0.0/8")
    assert network.dump_json(ip_network("10.0.0.0/8")) == b'"10.0.0.0/8"'


@pytest.mark.parametrize("value", ["10.0.0.1/8", "hunter2", "10.0.0.0/33", "", 5, None, "10.0.0.0/255.0.255.0"])
def test_what_is_no_network_is_refused_without_quoting_it(value: Any) -> None:
    said = refusal(Network, value)
    assert "network" in said
    assert not value or str(value) == "5" or str(value) not in said


@pytest.mark.parametrize("prefix", ["publishing", "_x", "A9"])
def test_beginnings_of_metric_names_are_accepted(prefix: str) -> None:
    assert TypeAdapter(MetricPrefix).validate_python(prefix) == prefix


@pytest.mark.parametrize("prefix", ["", "9a", "a-b", "a:b", "é", "a\n", "a" * 65])
def test_what_begins_no_metric_name_is_refused(prefix: str) -> None:
    assert refusal(MetricPrefix, prefix).startswith("expected the beginning of a metric name")


@pytest.mark.parametrize("path", ["/metrics", "/a/b.txt", "/eventslog", "/~x/y-z_"])
def test_paths_for_the_metrics_are_accepted(path: str) -> None:
    assert TypeAdapter(UrlPath).validate_python(path) == path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        *((path, NO_PATH) for path in ("", "/", "metrics", "/a?b", "/a#b", "/a/", "//a", "/..")),
        *((path, TAKEN) for path in ("/-/ready", "/events", "/openapi.json", "/api/v2/x", "/sd/targets", "/system")),
    ],
)  # fmt: skip
def test_paths_of_other_pages_and_no_paths_are_refused(path: str, said: str) -> None:
    assert refusal(UrlPath, path) == said
