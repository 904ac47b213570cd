"""What a client needs to speak TLS with a remote, to prove who it is, and to tell what went wrong."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from exporter.model.errors import Failure
from exporter.model.reason import Reason

_CERTIFICATE_FAULTS = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is self-signed",
    19: "the certificate chain ends in an authority that is not trusted",
    20: "the certificate's authority is not trusted",
    62: "the certificate is for another name",
    64: "the certificate is for another address",
    66: "the key of the certificate is too weak",
    67: "the key of the certificate's authority is too weak",
    68: "the certificate is signed with a weak digest",
}
_NOT_TLS = "the remote does not speak TLS"
_VERSIONS = "the remote speaks no version of TLS that is safe"
_OURS = "the remote does not accept our certificate"
_HANDSHAKE_FAULTS = {
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "HTTP_REQUEST": _NOT_TLS,
    "PACKET_LENGTH_TOO_LONG": _NOT_TLS,
    "UNEXPECTED_MESSAGE": _NOT_TLS,
    "UNSUPPORTED_PROTOCOL": _VERSIONS,
    "NO_PROTOCOLS_AVAILABLE": _VERSIONS,
    "TLSV1_ALERT_PROTOCOL_VERSION": _VERSIONS,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the remote refuses the handshake",
    "DH_KEY_TOO_SMALL": "the key of the handshake is too weak",
    "EE_KEY_TOO_SMALL": "the key of the certificate is too weak",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the remote wants a certificate of ours",
    "TLSV1_ALERT_UNKNOWN_CA": _OURS,
    "SSLV3_ALERT_BAD_CERTIFICATE": _OURS,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _OURS,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _OURS,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OURS,
    "TLSV1_ALERT_ACCESS_DENIED": _OURS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """Whom to trust (`ca_file` instead of the system's authorities), whom to expect, and the own certificate."""

    ca_file: Path | None = None
    server_name: str | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    protocols: tuple[str, ...] = ("http/1.1",)  # some servers hang up on a client that offers none of theirs

    @property
    def has_files(self) -> bool:
        return self.ca_file is not None or self.cert_file is not None

    def context(self) -> ssl.SSLContext:
        """A context that always verifies."""
        if not self.has_files:
            return _without_files(self.minimum, self.protocols)
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError):
            problem = "tls.ca_file cannot be read, or holds no certificate"
        else:
            context.minimum_version = self.minimum
            _offer(context, self.protocols)
            try:
                if self.cert_file is not None:
                    # A key that asks for a passphrase would make OpenSSL wait at the terminal.
                    context.load_cert_chain(self.cert_file, self.key_file, password="")
                return context
            except (OSError, ValueError):
                problem = "tls.cert_file and tls.key_file cannot be read, or do not belong together"
        raise Failure(Reason.CONFIG, problem)


@cache  # reading the system's authorities takes longer than a hundred probes
def _without_files(minimum: ssl.TLSVersion, protocols: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = minimum
    _offer(context, protocols)
    return context


def _offer(context: ssl.SSLContext, protocols: tuple[str, ...]) -> None:
    if protocols:
        context.set_alpn_protocols(list(protocols))


def fault(error: ssl.SSLError) -> str:
    """What went wrong, in words of ours: those of the library quote names and addresses."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE_FAULTS.get(error.verify_code, "the certificate is not valid")
    return _HANDSHAKE_FAULTS.get(error.reason or "", "the TLS handshake failed")
