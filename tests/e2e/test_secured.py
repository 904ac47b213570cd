"""A real Prometheus scrapes the real daemon over TLS: with a password, with a certificate, and with neither."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest

from tests.e2e.test_prometheus import COVERAGE, Prometheus
from tests.fakes.authority import Authority
from tests.faults.guarded import PASSWORDS, Guarded
from tests.faults.process import python_path, until

CONFIG = "cycle: {interval: 500ms, timeout: 400ms}\n"
USERS = "basic_auth_users: {ann: %s}\n"
CLIENTS = """\
  client_ca_file: ca.crt
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [scraper.example]
"""


@dataclass
class Site:
    """Two daemons, one for each way in, and the Prometheus that scrapes both."""

    authority: Authority
    folders: dict[str, Path]
    daemons: dict[str, Guarded]
    prometheus: Prometheus

    def up(self) -> dict[str, str]:
        found = self.prometheus.query("up")
        return {sample["metric"]["job"]: sample["value"][1] for sample in found}


def started(folder: Path, authority: Authority, name: str) -> Guarded:
    """A daemon with a certificate of its own, which takes a password or a client certificate."""
    pair = authority.issue(name)
    shutil.copy(pair.cert, folder / "tls.crt")
    shutil.copy(pair.key, folder / "tls.key")
    shutil.copy(authority.file, folder / "ca.crt")
    tls = "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n"
    hash = bcrypt.hashpw(PASSWORDS["ann"].encode(), bcrypt.gensalt(4)).decode()
    (folder / "web.yml").write_text(tls + CLIENTS if name == "certificate" else tls + USERS % hash)
    (folder / "exporter.yaml").write_text(f"{CONFIG}web: {{listen_addresses: ['127.0.0.1:0'], config_file: web.yml}}\n")
    environ = {**COVERAGE, "PYTHONPATH": python_path()}
    daemon = Guarded(folder, environ, [f"--config.file={folder / 'exporter.yaml'}"])
    daemon.tls = ssl.create_default_context(cafile=authority.file)
    daemon.wait_ready()  # asks without a certificate: readiness is open
    return daemon


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    folders = {name: tmp_path_factory.mktemp(name) for name in ("password", "certificate")}
    daemons = {name: started(folder, authority, name) for name, folder in folders.items()}
    scraper = authority.issue("scraper", "DNS:scraper.example")
    stranger = authority.issue("stranger", "DNS:stranger.example")
    auth: dict[str, object] = {"basic_auth": {"username": "ann", "password": PASSWORDS["ann"]}}
    jobs = [
        job("password", daemons["password"], authority) | auth,
        job("no password", daemons["password"], authority),
        job("certificate", daemons["certificate"], authority, scraper.cert, scraper.key),
        job("no certificate", daemons["certificate"], authority),
        job("another certificate", daemons["certificate"], authority, stranger.cert, stranger.key),
    ]
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), "", jobs)
    yield Site(authority, folders, daemons, prometheus)
    prometheus.close()
    assert [daemon.stop() for daemon in daemons.values()] == [0, 0]


def job(
    name: str, daemon: Guarded, authority: Authority, cert: Path | None = None, key: Path | None = None
) -> dict[str, object]:
    tls = {"ca_file": str(authority.file)}
    if cert is not None:
        tls |= {"cert_file": str(cert), "key_file": str(key)}
    targets = [{"targets": [f"127.0.0.1:{daemon.port}"]}]
    return {"job_name": name, "scheme": "https", "tls_config": tls, "static_configs": targets}


def test_prometheus_comes_in_with_credentials_and_not_without(site: Site) -> None:
    """Over TLS, by password and by client certificate."""
    expected = {
        "password": "1",
        "no password": "0",
        "certificate": "1",
        "no certificate": "0",
        "another certificate": "0",
    }
    until(lambda: site.up() == expected, 20, "every job has been scraped")
    for name in ("password", "certificate"):
        assert site.prometheus.query(f'platform_exporter_build_info{{job="{name}"}}')


@pytest.mark.parametrize("name", ["password", "certificate"])
def test_a_certificate_changed_on_disk_is_served_to_the_next_connection(site: Site, name: str) -> None:
    """Prometheus, whose connection stays open, misses nothing."""
    daemon, renewed = site.daemons[name], site.authority.issue(f"{name}-renewed", days=700, rsa=True)
    before = daemon.certificate()
    shutil.copy(renewed.cert, site.folders[name] / "tls.crt")
    shutil.copy(renewed.key, site.folders[name] / "tls.key")
    until(lambda: daemon.certificate() != before, 8, "the new certificate is served")
    assert daemon.certificate() == renewed.cert.read_text()
    expiry = f'platform_exporter_tls_certificate_expiry_timestamp_seconds{{job="{name}"}} - time() > 600 * 86400'
    until(lambda: bool(site.prometheus.query(expiry)), 8, "Prometheus sees the new end")
    assert {sample["value"][1] for sample in site.prometheus.query(f'min_over_time(up{{job="{name}"}}[1h])')} == {"1"}
