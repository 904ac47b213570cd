"""From a file to a configuration: what is accepted, and that everything wrong is told at once and in place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import Field, field_validator, model_validator

from exporter.collectors.health import Options as HealthOptions
from exporter.config.loader import ConfigError, Loaded, load, parse, plugin_names, schema
from exporter.config.schema import CollectorOptions, Section
from exporter.config.types import SecretText
from exporter.model.problem import Problem
from exporter.model.secret import Secret
from exporter.publishing.refresh import RefreshRules

BAD = Path(__file__).parent / "bad"
CANARY = "s3cr3t"  # stands in every bad file where a secret may stand by mistake
HEALTH: Mapping[str, type[CollectorOptions]] = {"health": HealthOptions}
UNSET = "environment variable X is not set; ${X:-…} would give a default"
EMPTY = "configuration is empty: give at least one key, or no file at all to run on the defaults"
NOT_UTF_8 = "cannot read the configuration: not UTF-8 text (line 1)"
ENVIRONMENT = {"LEVEL": CANARY, "NUMBER": "5", "NOT_TEXT": "a\udcff"}


def read(text: str, environ: Mapping[str, str] | None = None, **options: type[CollectorOptions]) -> Loaded:
    return parse(text, "c.yaml", BAD, options or HEALTH, environ or {})


def complaints(text: str | bytes, folder: Path) -> list[str]:
    file = folder / "c.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        load(file, HEALTH, {})
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


@pytest.mark.parametrize("file", sorted(BAD.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_bad_file_gives_exactly_the_expected_messages(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(ConfigError) as caught:
        load(Path(file.name), HEALTH, ENVIRONMENT)
    assert str(caught.value).splitlines() == file.with_suffix(".expected").read_text().splitlines()


def test_no_message_quotes_a_value() -> None:
    assert not [file.name for file in BAD.glob("*.expected") if CANARY in file.read_text()]
    assert sum(CANARY in file.read_text() for file in BAD.glob("*.yaml")) > 20


def test_ten_mistakes_are_told_at_once_with_line_and_column() -> None:
    lines = (BAD / "ten-mistakes.expected").read_text().splitlines()
    assert len(lines) == 10
    assert len({line.split(" ")[0] for line in lines}) == 10


def test_no_file_gives_the_defaults() -> None:
    loaded = load(None, HEALTH, {})
    assert loaded.path is None
    assert loaded.watched == ()
    assert loaded.config.cycle.interval == 15.0
    assert loaded.config.collectors.health == HealthOptions()  # type: ignore[attr-defined]
    assert loaded.config == read("{}").config


def test_values_arrive_with_their_types() -> None:
    config = read(
        """
        cycle: {interval: 1h30m, timeout: 500ms}
        targets:
          static: [{name: a, type: slack, url: "https://hooks.example.org/a", filter_config: {n: 1, f: -1.5, x: 0x1F}}]
          policy: {allow_networks: [10.0.0.0/8, "::1"]}
        limits: {series_total: +7}
        web: {listen_addresses: [":0", "[::1]:9847"], enable_lifecycle: True}
        """
    ).config
    assert (config.cycle.interval, config.cycle.timeout) == (5400.0, 0.5)
    assert config.targets.static[0].url == Secret("https://hooks.example.org/a")
    assert config.targets.static[0].filter_config == {"n": 1, "f": -1.5, "x": 31}
    assert [str(network) for network in config.targets.policy.allow_networks] == ["10.0.0.0/8", "::1/128"]
    assert config.limits.series_total == 7
    assert config.web.listen_addresses == (":0", "[::1]:9847")
    assert config.web.enable_lifecycle is True


def test_a_timeout_may_be_as_long_as_its_interval() -> None:
    config = read("cycle: {interval: 10s, timeout: 10s}\ncollectors: {health: {interval: 1m, timeout: 60s}}").config
    assert config.cycle.interval == config.cycle.timeout


def test_aliases_are_copies_with_the_place_of_the_original() -> None:
    with pytest.raises(ConfigError) as caught:
        read("limits: &x {series_total: -1}\nlog: *x\ncycle: *x\n")
    assert [str(problem) for problem in caught.value.problems] == [
        "c.yaml:1:13: cycle.series_total: unknown key",
        "c.yaml:1:13: log.series_total: unknown key",
        "c.yaml:1:27: limits.series_total: must be at least 1",
    ]


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(b"\xef\xbb\xbfcycle: {interval: 20s}\n")
    assert load(file, HEALTH, {}).config.cycle.interval == 20.0
    assert read("\ufeffcycle: {interval: 20s}").config.cycle.interval == 20.0


def test_secrets_come_from_files_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("https://hooks.example.org/x\r\n")
    (tmp_path / "token").write_text("Bearer abc\n\n"[:-1])
    (tmp_path / "ca.pem").write_text("not read here")
    file = tmp_path / "c.yaml"
    file.write_text(
        """
        targets:
          static:
            - {name: a, type: slack, url_file: "${NAME}", headers: {B: b}, headers_file: {Authorization: token}}
            - {name: b, type: slack, url: "https://hooks.example.org/y", url_file: null, headers_file: {}}
        collectors: {health: {tls: {ca_file: ca.pem}}}
        """
    )
    loaded = load(file, HEALTH, {"NAME": "url"})
    first, second = loaded.config.targets.static
    assert first.url == Secret("https://hooks.example.org/x")
    assert first.headers == {"B": Secret("b"), "Authorization": Secret("Bearer abc")}
    assert not second.headers
    assert loaded.config.collectors.health.tls.ca_file == tmp_path / "ca.pem"  # type: ignore[attr-defined]
    assert loaded.watched == (file, tmp_path / "url", tmp_path / "token", tmp_path / "ca.pem")
    assert "hooks.example.org" not in repr(loaded)


def test_a_failed_load_names_the_files_that_may_mend_it(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    with pytest.raises(ConfigError) as caught:
        load(file, HEALTH, {})
    assert caught.value.watched == (file,)
    file.write_text("targets: {static: [{name: a, type: slack, url_file: later}]}")
    with pytest.raises(ConfigError) as caught:
        load(file, HEALTH, {})
    assert caught.value.watched == (file, tmp_path / "later")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"a: \xff", f"c.yaml: {NOT_UTF_8}", id="not UTF-8"),
        pytest.param("a: b".encode("utf-16"), f"c.yaml: {NOT_UTF_8}", id="utf-16"),
        pytest.param(b"a: x\nb: \0", "c.yaml:2:4: a character that YAML does not allow", id="NUL"),
        pytest.param(b"", f"c.yaml: {EMPTY}", id="empty"),
        pytest.param(b"#" * 50_000_000, "c.yaml: cannot read the configuration: larger than 1024 KiB", id="50 MB"),
        pytest.param(b"[" * 5000, "c.yaml:1:51: nested deeper than 50 levels", id="brackets"),
        pytest.param(b"{a: " * 5000, "c.yaml:1:198: nested deeper than 50 levels", id="braces"),
        pytest.param(b"- " * 5000, "c.yaml:1:101: nested deeper than 50 levels", id="dashes"),
        pytest.param(b"? " * 5000, "c.yaml:1:101: nested deeper than 50 levels", id="question marks"),
        pytest.param(b"a: [" + b"1," * 500_000 + b"]", "c.yaml:1:199999: too many values", id="too many values"),
        pytest.param(b"a: '" + b"${X}" * 250_000 + b"'", f"c.yaml:1:4: a: {UNSET}", id="variables"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused_in_two_seconds(content: bytes, expected: str, tmp_path: Path) -> None:
    started = time.process_time()  # others may be using the machine
    found = complaints(content, tmp_path)
    assert time.process_time() - started < 2
    assert found[0] == expected
    assert all("\n" not in line for line in found)


def test_a_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in [("gone", "no such file"), (".", "is a directory"), ("pipe", "not a regular file")]:
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / path, HEALTH, {})
        assert str(caught.value) == f"{tmp_path / path}: cannot read the configuration: {reason}"


@pytest.mark.parametrize(("value", "first"), [("x", "1: key0: unknown key"), ("0b1", "7: key0: a number in a form")])
def test_a_file_of_nothing_but_mistakes_lists_the_first_and_says_so(value: str, first: str, tmp_path: Path) -> None:
    started = time.process_time()  # others may be using the machine
    found = complaints("".join(f"key{number}: {value}\n" for number in range(20_000)), tmp_path)
    assert time.process_time() - started < 2
    assert len(found) == 201
    assert found[0].startswith(f"c.yaml:1:{first}")
    assert found[-1] == "c.yaml: and more: only the first problems are listed"


def test_variables_cannot_blow_up_a_small_file() -> None:
    with pytest.raises(ConfigError, match="environment variables expand to too much text"):
        read("plugins: ['" + "${X}" * 20 + "']", {"X": "x" * 100_000})


def test_a_variable_that_is_empty_gives_way_to_the_default() -> None:
    text = "plugins: ['${EMPTY:-a}', '${GONE:-b}', '${SET:-c}', 'x${GONE:-}', '$${SET}', '$5']"
    assert read(text, {"EMPTY": "", "SET": "d"}).config.plugins == ("a", "b", "d", "x", "${SET}", "$5")


def test_text_in_quotes_is_never_taken_for_anything_else() -> None:
    config = read(
        "targets: {static: [{name: '010', type: slack, url: \"https://a.example.org\"}]}\nplugins: ['no', !!str 1e3]"
    )
    assert config.config.targets.static[0].name == "010"
    assert config.config.plugins == ("no", "1e3")


def test_an_endless_key_is_an_unknown_key_without_a_guess() -> None:
    with pytest.raises(ConfigError) as caught:
        read("cycle: {" + "interval" * 100 + ": 5s}")
    assert str(caught.value) == "c.yaml:1:9: cycle.?: unknown key"


class Remote(Section):
    password: SecretText
    login: str = Field(default="x", min_length=1)


class PluginOptions(CollectorOptions):
    remote: Remote | None = None
    others: dict[str, Remote] = Field(default_factory=dict)
    either: int | bool = 1
    odd: str = ""
    tokens: dict[str, SecretText] = Field(default_factory=dict)

    @field_validator("odd")
    @classmethod
    def _odd(cls, value: str) -> str:
        if value == "crash":
            raise RuntimeError("not the exception of a validator")
        if value:
            raise ValueError(f"{value!r} is odd\nsecond line")
        return value

    @model_validator(mode="after")
    def _both(self) -> PluginOptions:
        if self.remote and self.others:
            raise ValueError(f"not both, {self.remote.login}")
        return self


def test_options_of_a_plugin_are_typed_and_take_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("hunter2\n")
    text = "collectors: {mine: {remote: {password_file: p}, tokens_file: {a: p}, families: {include: ['x_*']}}}"
    loaded = parse(text, "c.yaml", tmp_path, {**HEALTH, "mine": PluginOptions}, {})
    mine = loaded.config.collectors.mine  # type: ignore[attr-defined]
    assert mine.remote.password == Secret("hunter2")
    assert mine.tokens == {"a": Secret("hunter2")}
    assert mine.families.include == ("x_*",)
    assert loaded.watched == (tmp_path / "p",)


def test_what_a_plugin_says_of_its_options_never_quotes_them() -> None:
    with pytest.raises(ConfigError) as caught:
        read(
            f"""
            collectors:
              mine:
                remote: {{login: ""}}
                others: {{a: {{password: ""}}, b: {CANARY}}}
                either: {CANARY}
                odd: {CANARY}
                token: x
                tokens: {{a: 5}}
            """,
            mine=PluginOptions,
        )
    assert [str(problem).partition("collectors.mine.")[2] for problem in caught.value.problems] == [
        "remote.password: required key is missing",
        "remote.login: too short: at least 1 characters",
        "others.a.password: must not be empty",
        "others.b: expected a mapping (keys with values)",
        "either: expected a whole number",
        "either: expected true or false",
        "odd: '…' is odd",
        "token: unknown key; did you mean 'tokens'?",
        "tokens.a: expected text in quotes",
    ]


def test_a_check_over_several_keys_is_silent_while_one_of_them_cannot_be_read() -> None:
    text = "collectors: {{mine: {{remote: {{password: p, login: {0}}}, others: {{a: {{password: p}}}}}}}}"
    with pytest.raises(ConfigError) as caught:
        read(text.format("long-login"), mine=PluginOptions)
    assert [problem.message for problem in caught.value.problems] == ["not both, …"]
    with pytest.raises(ConfigError) as caught:
        read(text.format("'${UNSET}'"), mine=PluginOptions)
    assert [problem.path for problem in caught.value.problems] == ["collectors.mine.remote.login"]


def test_a_plugin_whose_check_crashes_is_a_problem_and_no_crash() -> None:
    with pytest.raises(ConfigError) as caught:
        read("collectors: {mine: {odd: crash}}", mine=PluginOptions)
    assert [str(problem) for problem in caught.value.problems] == [
        "c.yaml:1:13: collectors: a check of a plugin's options failed with RuntimeError"
    ]


def test_the_section_of_a_plugin_that_did_not_load_is_not_looked_into() -> None:
    text = "plugins: [broken]\ncollectors: {broken: {any: [thing]}}"
    assert parse(text, "c.yaml", BAD, HEALTH, {}, opaque=["broken", "health"]).config.plugins == ("broken",)
    with pytest.raises(ConfigError):
        read(text)


def test_plugin_names_are_found_before_anything_is_judged(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("plugins: [a, '${B}', a, 5]\nunknown: {interval: 010}\n")
    assert plugin_names(file, {"B": "b"}) == ("a", "b")
    for text in ("plugins: x", "plugins: [", "- plugins", ""):
        file.write_text(text)
        assert plugin_names(file, {}) == ()
    assert plugin_names(tmp_path / "gone", {}) == ()
    assert plugin_names(None, {}) == ()


def test_the_json_schema_knows_every_key_and_the_files_of_secrets() -> None:
    found = schema({**HEALTH, "mine": PluginOptions})
    jsonschema.Draft202012Validator.check_schema(found)
    check = jsonschema.Draft202012Validator(found)
    assert check.is_valid({"cycle": {"interval": "1h30m"}, "collectors": {"mine": {"remote": {"password_file": "p"}}}})
    assert not check.is_valid({"sinks": {}})
    assert not check.is_valid({"cycle": {"interval": 5}})
    assert not check.is_valid({"cycle": {"interval": ""}})
    assert found["properties"]["cycle"]["default"] == {"interval": "15s", "timeout": "10s"}


def test_reading_a_configuration_imports_neither_http_nor_kubernetes() -> None:
    script = (
        "import sys, exporter.config.loader, exporter.config.watch;"
        "print([m for m in sys.modules if m.partition('.')[0] in ('aiohttp', 'kubernetes', 'prometheus_client')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


KEYS = st.sampled_from(
    ["cycle", "interval", "timeout", "targets", "static", "policy", "collectors", "health", "tls", "ca_file", "name",
     "url", "url_file", "headers", "headers_file", "log", "level", "plugins", "web", "limits", "x\n\0", "${A}", ""]
)  # fmt: skip
SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary(max_size=4) | KEYS
)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner))


def accepts_or_complains(text: str) -> None:
    found: tuple[Problem, ...] | None = None
    try:
        read(text, {"A": "x", "B": "\udcff"}, health=HealthOptions, mine=PluginOptions)
    except ConfigError as error:
        found = error.problems
    assert found is None or (found and all(str(problem).isprintable() for problem in found))


@given(st.text())
@example("cycle:\n  interval: '\\ud800'")
@example("\ufeff\ufeff")
@example("%YAML 9.9\n--- x")
@example("&a &b x")
@example("!<!> x")
@settings(max_examples=300, deadline=None)
def test_no_text_raises_anything_but_a_config_error(text: str) -> None:
    accepts_or_complains(text)


@given(st.text(alphabet="[]{}:,-?&*!|>'\"%@`#~<= \n\tab01_.$\\\0\ufeff\u2028é"))
@settings(max_examples=500, deadline=None)
def test_no_mix_of_yaml_signs_raises_anything_but_a_config_error(text: str) -> None:
    accepts_or_complains(text)


@given(TREES, st.sampled_from([True, False, None]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_tree_raises_anything_but_a_config_error(tree: Any, flow: bool | None) -> None:
    accepts_or_complains(yaml.dump(tree, allow_unicode=True, default_flow_style=flow))


@given(st.dictionaries(st.sampled_from(["interval", "timeout"]), st.sampled_from(["5s", "1m", "x", "", "1h"])))
def test_a_json_file_is_read_as_well(cycle: dict[str, str]) -> None:
    accepts_or_complains(json.dumps({"cycle": cycle}))


def test_the_places_of_targets_count_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    for name in ("a.yaml", "am.yml", "kubeconfig"):
        (tmp_path / name).touch()
    file = tmp_path / "c.yaml"
    file.write_text(
        "targets: {files: [a.yaml, targets/*.yaml], alertmanager: [{file: am.yml}, {secret: a/b, key: c}],"
        " kubernetes: {kubeconfig: kubeconfig}}"
    )
    loaded = load(file, HEALTH, {})
    targets = loaded.config.targets
    assert targets.files == (str(tmp_path / "a.yaml"), str(tmp_path / "targets/*.yaml"))
    assert targets.alertmanager[0].file == str(tmp_path / "am.yml")
    assert targets.kubernetes is not None
    assert targets.kubernetes.kubeconfig == str(tmp_path / "kubeconfig")
    assert loaded.watched == (file,), "whoever reads them watches them"


def test_a_place_of_targets_that_is_missing_is_watched_for_its_coming(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("targets: {files: [none.yaml]}")
    with pytest.raises(ConfigError, match=r"targets\.files\[0\]: cannot read .*none\.yaml: no such file") as caught:
        load(file, HEALTH, {})
    assert caught.value.watched == (file, tmp_path / "none.yaml")


def test_the_rules_of_refreshes_are_those_of_the_configuration(tmp_path: Path) -> None:
    refresh = parse("targets: {refresh: {interval: 1h, attempts: 2}}", "c", tmp_path, HEALTH, {}).config.targets.refresh
    assert refresh.rules() == RefreshRules(interval=3600.0, attempts=2)
    assert parse("log: {}", "c", tmp_path, HEALTH, {}).config.targets.refresh.rules() == RefreshRules()
