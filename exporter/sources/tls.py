"""What a client needs to speak TLS with a remote, and to prove who it is."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from exporter.model.errors import Failure
from exporter.model.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """Whom to trust (`ca_file` instead of the system's authorities), whom to expect, and the own certificate."""

    ca_file: Path | None = None
    server_name: str | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext | bool:
        """A context that always verifies; True stands for the client library's own, which is already loaded."""
        if self.ca_file is None and self.cert_file is None:
            return True
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError):
            problem = "tls.ca_file cannot be read, or holds no certificate"
        else:
            context.set_alpn_protocols(["http/1.1"])
            try:
                if self.cert_file is not None:
                    # A key that asks for a passphrase would make OpenSSL wait at the terminal.
                    context.load_cert_chain(self.cert_file, self.key_file, password="")
                return context
            except (OSError, ValueError):
                problem = "tls.cert_file and tls.key_file cannot be read, or do not belong together"
        raise Failure(Reason.CONFIG, problem)
