"""The web configuration file: what is accepted, and that everything wrong is told at once and in place."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config.problems import ConfigError
from exporter.config.web_file import load_web
from exporter.model.secret import Secret
from tests.programs import program

SAMPLES = sorted((Path(__file__).parents[1] / "web" / "samples").glob("*.yml"))
PEM = Path(__file__).parents[1] / "fakes" / "tls"
HASH = "$2y$04$AI9L.IpuIn0ErhiOg.wM3.9NfWzPMnZ9S4vAM2xPQ7h7JsVlpyMBG"
PAIR = f"cert_file: {PEM}/server.pem, key_file: {PEM}/server.pem"
CLIENTS = f"{PAIR}, client_ca_file: {PEM}/ca.pem, client_auth_type: RequireAndVerifyClientCert"


def complaints(folder: Path, text: str) -> list[str]:
    file = folder / "web.yml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_web(file)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: str(file.stem))
def test_our_samples_are_read_and_prometheus_accepts_them_too(file: Path) -> None:
    assert load_web(file).settings != load_web(SAMPLES[0]).settings or file == SAMPLES[0]
    done = subprocess.run([program("promtool"), "check", "web-config", str(file)], capture_output=True, text=True)
    assert (done.returncode, "SUCCESS" in done.stdout + done.stderr) == (0, True)


def test_there_are_samples_of_each_kind() -> None:
    assert [file.stem for file in SAMPLES] == ["clients", "everything", "tls", "users"]


def test_a_hash_is_taken_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{ann: {HASH}, '${{HOME}}': {HASH}}}")
    users = load_web(tmp_path / "web.yml").settings.basic_auth_users
    assert users == {"ann": Secret(HASH), "${HOME}": Secret(HASH)}
    assert HASH not in repr(users)


def test_certificates_may_stand_in_the_file_itself(tmp_path: Path) -> None:
    indented = (PEM / "server.pem").read_text().replace("\n", "\n    ")
    (tmp_path / "web.yml").write_text(f"tls_server_config:\n  cert: |\n    {indented}\n  key: |\n    {indented}\n")
    options = load_web(tmp_path / "web.yml").settings.tls_server_config
    assert options is not None
    assert options.cert is not None
    assert "BEGIN CERTIFICATE" in options.cert.reveal()


def test_relative_paths_count_from_the_folder_of_the_file_and_are_watched(tmp_path: Path) -> None:
    (tmp_path / "both.pem").write_text((PEM / "server.pem").read_text())
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: both.pem, key_file: both.pem}")
    assert set(load_web(tmp_path / "web.yml").watched) == {tmp_path / "web.yml", tmp_path / "both.pem"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["web.yml: configuration is empty: give at least one key, or no file at all to run on the defaults"]),
        ("[]", ["web.yml:1:1: expected keys with values at the top level"]),
        ("basic_auth_user: {}", ["web.yml:1:1: basic_auth_user: unknown key; did you mean 'basic_auth_users'?"]),
        (
            "rate_limit: {interval: 1s, burst: 20}",
            [
                "web.yml:1:1: rate_limit: not supported: one client could use up the limit of all; "
                "wrong logins are limited per address"
            ],
        ),
        ("tls_server_config: {}", ["cert", "key"]),
        ("tls_server_config: {min_version: TLS13}", ["cert", "key"]),
        (f"tls_server_config: {{cert_file: {PEM}/server.pem}}", ["key"]),
        (
            f"tls_server_config: {{{PAIR}, cert: x}}",
            ["tls_server_config.cert_file: cert and cert_file are both given: keep one"],
        ),
        (
            "tls_server_config: {cert_file: gone.pem, key_file: gone.pem}",
            [
                "tls_server_config.cert_file: cannot read gone.pem: no such file",
                "tls_server_config.key_file: cannot read gone.pem: no such file",
            ],
        ),
        (
            f"tls_server_config: {{{PAIR}, min_version: TLS10}}",
            ["tls_server_config.min_version: expected TLS12 or TLS13"],
        ),
        (
            f"tls_server_config: {{{PAIR}, min_version: TLS13, max_version: TLS12}}",
            ["tls_server_config.max_version: must not be lower than min_version"],
        ),
        (
            f"tls_server_config: {{{PAIR}, curve_preferences: [X25519]}}",
            ["tls_server_config.curve_preferences: not supported: leave the key out, OpenSSL's own order holds"],
        ),
        (
            f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}}",
            ["tls_server_config.cipher_suites[0]: no such cipher suite, or one that is not safe"],
        ),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: RequireAnyClientCert}}",
            [
                "tls_server_config.client_auth_type: expected NoClientCert, VerifyClientCertIfGiven or "
                "RequireAndVerifyClientCert"
            ],
        ),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert}}",
            ["tls_server_config.client_auth_type: needs client_ca or client_ca_file: who vouches for the clients"],
        ),
        (
            f"tls_server_config: {{{PAIR}, client_ca_file: {PEM}/ca.pem}}",
            ["tls_server_config.client_ca_file: needs client_auth_type, such as RequireAndVerifyClientCert"],
        ),
        (
            f"tls_server_config: {{{PAIR}, client_allowed_sans: [a]}}",
            ["tls_server_config.client_allowed_sans: needs client_auth_type RequireAndVerifyClientCert"],
        ),
        (
            f"tls_server_config: {{{CLIENTS}, client_allowed_sans: []}}",
            ["tls_server_config.client_allowed_sans: needs at least one entry"],
        ),
        (
            f"tls_server_config: {{{CLIENTS}, client_allowed_sans: [a, a]}}",
            ["tls_server_config.client_allowed_sans: an entry is given twice"],
        ),
        (
            'http_server_config: {headers: {X-Frame-Options: allow, X-Powered-By: us, X-XSS-Protection: "a\\nb"}}',
            ["X-Frame-Options: expected deny or sameorigin", "X-Powered-By: expected", "printable ASCII"],
        ),
        ("http_server_config: {headers: [a]}", ["expected a mapping (keys with values)"]),
        ("basic_auth_users:", ["basic_auth_users: expected a mapping (keys with values)"]),
        ("basic_auth_users: {ann: secret}", ["basic_auth_users.ann: expected a bcrypt hash"]),
        ("basic_auth_users: {ann: 5}", ["basic_auth_users.ann: expected a bcrypt hash"]),
        (f"basic_auth_users: {{ann: '{HASH.replace('2y', '2x')}'}}", ["basic_auth_users.ann: expected a bcrypt hash"]),
        (f"basic_auth_users: {{ann: '{HASH[:-1]}'}}", ["basic_auth_users.ann: expected a bcrypt hash"]),
        (f"basic_auth_users: {{ann: '{HASH.replace('$04$', '$15$')}'}}", ["must be from 4 to 14"]),
        (f"basic_auth_users: {{ann: '{HASH.replace('$04$', '$03$')}'}}", ["must be from 4 to 14"]),
        (f"basic_auth_users: {{'': '{HASH}', 'a:b': '{HASH}'}}", ["a user name is not", "a user name is not"]),
    ],
)
def test_every_mistake_is_told_in_words_and_in_place(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = complaints(tmp_path, text)
    assert len(found) == len(expected)
    for line, words in zip(found, expected, strict=True):
        assert words in line
        assert line.startswith("web.yml")
        assert "secret" not in line


def test_mistakes_in_all_sections_are_told_at_once(tmp_path: Path) -> None:
    text = (
        "tls_server_config:\n  key_file: gone\n  min_version: 1.2\nrate_limit: {}\nbasic_auth_users:\n  ann: no\nx: 1\n"
    )
    assert [line.split(": ")[:2] for line in complaints(tmp_path, text)] == [
        ["web.yml:1:1", "tls_server_config"],
        ["web.yml:2:13", "tls_server_config.key_file"],
        ["web.yml:3:16", "tls_server_config.min_version"],
        ["web.yml:4:1", "rate_limit"],
        ["web.yml:6:8", "basic_auth_users.ann"],
        ["web.yml:7:1", "x"],
    ]


def test_a_missing_file_is_told_and_watched(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yml: cannot read the web configuration: no such file") as caught:
        load_web(tmp_path / "gone.yml")
    assert caught.value.watched == (tmp_path / "gone.yml",)


def test_what_turns_out_to_be_wrong_later_has_its_place(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(f"tls_server_config:\n  {PAIR.replace(', ', chr(10) + '  ')}\n")
    loaded = load_web(tmp_path / "web.yml")
    error = loaded.unfit(("tls_server_config", "cert"), "too old")
    assert str(error) == f"{tmp_path}/web.yml:2:14: tls_server_config.cert_file: too old"
    assert set(error.watched) == {tmp_path / "web.yml", PEM / "server.pem"}


@given(st.text(alphabet="tlsercofigba_auh: {}[],\n-'\"$2y|>&*!0"))
@settings(max_examples=200, deadline=None)
def test_no_text_raises_anything_but_a_config_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed.yml"
    file.write_text(text)
    with contextlib.suppress(ConfigError):
        load_web(file)
