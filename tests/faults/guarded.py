"""The daemon behind a web configuration file, asked by somebody who may come in."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from base64 import b64encode
from typing import Any

from tests.faults.process import Answer, Daemon

PASSWORDS = {"ann": "zqPasswordAnn5Rw", "bob": "zqPasswordBob7Tm"}


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


class Guarded(Daemon):
    """A daemon that is asked with credentials, over TLS if it has it."""

    tls: ssl.SSLContext | None = None

    def ask(self, method: str, path: str, timeout: float = 10.0, **headers: str) -> Answer:
        source = headers.pop("source", "127.0.0.1")
        headers.setdefault("Authorization", basic("ann", PASSWORDS["ann"]))
        began = time.monotonic()
        connection = self.connect(timeout, source)
        try:
            connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read(), time.monotonic() - began)
        finally:
            connection.close()

    def connect(self, timeout: float = 10.0, source: str = "127.0.0.1") -> http.client.HTTPConnection:
        where: dict[str, Any] = {"timeout": timeout, "source_address": (source, 0)}
        if self.tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, **where)
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, **where)

    def first_event(self) -> bytes:
        connection = self.connect(5.0)
        try:
            connection.request("GET", "/events", headers={"Authorization": basic("ann", PASSWORDS["ann"])})
            return connection.getresponse().read1(65536)
        finally:
            connection.close()

    def certificate(self) -> str:
        """Whom a new connection sees."""
        assert self.tls is not None
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.port), 5.0) as plain,
            unverified.wrap_socket(plain) as connection,
        ):
            shown = connection.getpeercert(binary_form=True)
            assert shown is not None
            return ssl.DER_cert_to_PEM_cert(shown)
