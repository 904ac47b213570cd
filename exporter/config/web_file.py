"""The web configuration file that Prometheus's own exporters take: TLS, headers, and who may log in.

Read by the machinery of the configuration, with two differences: the format knows no variables, so a dollar sign is
one, and what a key needs of another is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, PlainValidator

from exporter.config.environment import AsWritten
from exporter.config.files import Unreadable, decode, read_bytes
from exporter.config.loader import LARGEST_FILE, plain_values, validated
from exporter.config.problems import ConfigError, Path, Report
from exporter.config.references import References
from exporter.config.schema import Section
from exporter.config.types import Names, SecretText
from exporter.model.problem import Problem
from exporter.model.secret import Secret

TLS, HEADERS, USERS = "tls_server_config", ("http_server_config", "headers"), "basic_auth_users"

# The last characters of both parts hold fewer bits than they could: others than these are refused at every login.
_HASH = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
# Each step doubles the time: beyond this one login would take more than a second, and those behind it wait.
_DEAREST = 14

_AES_GCM = {"AES_128_GCM_SHA256": "AES128-GCM-SHA256", "AES_256_GCM_SHA384": "AES256-GCM-SHA384"}
_CIPHERS = {
    **_AES_GCM,
    "AES_128_CBC_SHA": "AES128-SHA",
    "AES_256_CBC_SHA": "AES256-SHA",
    "CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
}
# Those of TLS 1.3 are always offered.
CIPHER_SUITES: Mapping[str, str] = {
    **{
        f"TLS_ECDHE_{kind}_WITH_{name}": f"ECDHE-{kind}-{ours}"
        for kind in ("ECDSA", "RSA")
        for name, ours in _CIPHERS.items()
    },
    **dict.fromkeys(("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"), ""),
}
_HEADER_VALUES = {"X-Frame-Options": ("deny", "sameorigin"), "X-Content-Type-Options": ("nosniff",)}
_NOT_SUPPORTED: Mapping[Path, str] = {
    ("rate_limit",): "not supported: one client could use up the limit of all; wrong logins are limited per address",
    (TLS, "curve_preferences"): "not supported: leave the key out, OpenSSL's own order holds",
}


def _cipher(name: str) -> str:
    if name not in CIPHER_SUITES:
        raise ValueError("no such cipher suite, or one that is not safe")
    return name


def _header(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("a header holds printable ASCII characters only")
    return value


def _hash(value: Any) -> Secret:
    match = _HASH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a bcrypt hash that begins with $2a$, $2b$ or $2y$, as `htpasswd -nB NAME` makes it")
    if not 4 <= int(match[1]) <= _DEAREST:
        raise ValueError(f"the cost of the hash must be from 4 to {_DEAREST}: a login must not take seconds")
    return Secret(match[0])


HeaderName = Literal[
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "X-XSS-Protection",
    "Strict-Transport-Security",
]
Version = Literal["TLS12", "TLS13"]
REQUIRED: Final = "RequireAndVerifyClientCert"
NO_CERTIFICATE: Final = "NoClientCert"


class TlsServer(Section):
    """Certificates are no secrets, but like a secret each may be given as text or as a file."""

    cert: SecretText | None = None
    key: SecretText | None = None
    client_ca: SecretText | None = None
    client_auth_type: Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] = NO_CERTIFICATE
    client_allowed_sans: Names = ()
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: tuple[Annotated[str, AfterValidator(_cipher)], ...] = ()
    prefer_server_cipher_suites: bool = True


class HttpServer(Section):
    """`http2` is accepted, and means nothing: what is spoken is HTTP/1.1."""

    http2: bool = True
    headers: dict[HeaderName, Annotated[str, AfterValidator(_header)]] = Field(default_factory=dict)


class WebFile(Section):
    """The whole file."""

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: dict[str, Annotated[Secret, PlainValidator(_hash)]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadedWeb:
    """A valid file, and every file that makes it different when it changes."""

    settings: WebFile
    watched: tuple[FilePath, ...]
    report: Report

    def unfit(self, path: Path, message: str) -> ConfigError:
        """What turned out to be wrong when the settings were put to use, with its place."""
        self.report.add(path, message)
        return ConfigError(self.report.problems(), self.watched)


def load_web(path: FilePath) -> LoadedWeb:
    """Reads a web configuration file; raises ConfigError with everything that is wrong with it."""
    try:
        text = decode(read_bytes(path, LARGEST_FILE))
    except Unreadable as error:
        raise ConfigError([Problem(f"cannot read the web configuration: {error}", file=str(path))], [path]) from None
    report = Report(str(path))
    references = References(report, path.parent)
    try:
        values = plain_values(text, report, AsWritten())  # a hash is full of dollar signs
        references.resolve(WebFile, values)
        _check(values, report)
        settings = validated(WebFile, values, report, references.models)
        if settings is None or report.problems():
            raise ConfigError(report.problems())
    except ConfigError as error:
        raise ConfigError(error.problems, [path, *references.watched]) from None
    return LoadedWeb(settings, (path, *references.watched), report)


def _check(values: dict[str, Any], report: Report) -> None:
    """Rules between keys, on plain values: they are told together with mistakes elsewhere."""
    for path, message in _NOT_SUPPORTED.items():
        if path in report.places:
            report.add(path, message, key=True)
            _at(values, *path[:-1]).pop(path[-1], None)
    if isinstance(tls := values.get(TLS), dict):
        _check_tls(tls, report)
    headers = _at(values, *HEADERS)
    for name, allowed in _HEADER_VALUES.items():
        if headers.get(name) and headers[name] not in allowed:
            report.add((*HEADERS, name), f"expected {' or '.join(allowed)}")
    for name in _at(values, USERS):
        if not name or ":" in name:
            report.add((USERS, name), "a user name is not empty and has no colon: nobody could log in", key=True)


def _at(values: dict[str, Any], *path: str | int) -> dict[Any, Any]:
    """The mapping at a place; an empty one for whatever else stands there, which is told elsewhere."""
    found: Any = values
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _check_tls(tls: dict[str, Any], report: Report) -> None:
    for name in ("cert", "key"):
        if tls.get(name) is None and not report.is_broken((TLS, name)):
            report.add((TLS,), f"{name} or {name}_file is missing", key=True)
    asks = tls.get("client_auth_type") or NO_CERTIFICATE
    has_ca = tls.get("client_ca") is not None or report.is_broken((TLS, "client_ca"))
    if has_ca and asks == NO_CERTIFICATE:
        report.add((TLS, "client_ca"), f"needs client_auth_type, such as {REQUIRED}", key=True)
    if asks in ("VerifyClientCertIfGiven", REQUIRED) and not has_ca:
        report.add((TLS, "client_auth_type"), "needs client_ca or client_ca_file: who vouches for the clients")
    if tls.get("client_allowed_sans") == []:
        report.add(
            (TLS, "client_allowed_sans"), "needs at least one entry: leave the key out to take every client", key=True
        )
    elif tls.get("client_allowed_sans") and asks != REQUIRED:
        report.add((TLS, "client_allowed_sans"), f"needs client_auth_type {REQUIRED}", key=True)
    if (tls.get("min_version"), tls.get("max_version")) == ("TLS13", "TLS12"):
        report.add((TLS, "max_version"), "must not be lower than min_version")
