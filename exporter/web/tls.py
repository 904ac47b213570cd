"""TLS of the listener: a context from the web configuration, which every new connection finds up to date."""

from __future__ import annotations

import os
import re
import ssl
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import IO, Any

from exporter.config.web_file import CIPHER_SUITES, NO_CERTIFICATE, REQUIRED, TlsServer
from exporter.model.secret import Secret

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_MISMATCH = "the certificate and the key do not belong together"
_WHY = {
    "KEY_VALUES_MISMATCH": _MISMATCH,
    "NO_CERTIFICATE_ASSIGNED": _MISMATCH,  # none for a key of this kind
    "EE_KEY_TOO_SMALL": "the key of the certificate is too short to be safe",
    "CA_MD_TOO_WEAK": "the certificate is signed in a way that is not safe",
}
_UNUSABLE = "the certificate or the key cannot be read: both must be PEM, the key without a passphrase"
_NAMES = frozenset({"DNS", "IP Address", "URI", "email"})


class Unfit(Exception):
    """A certificate, key or list of authorities that cannot be used; `key` is where it stands."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key
        self.message = message


class Context(ssl.SSLContext):
    """What a connection is made with. `authorities` tells by whose word its client certificate was accepted."""

    authorities: str


class Live(ssl.SSLContext):
    """The context the listener keeps for good; each new connection gets the current one.

    Changing one context in place is not enough: it would go on offering the old certificate beside a new one of
    another kind of key, and trusting authorities that were taken out.
    """

    current: ssl.SSLContext

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return self.current.wrap_bio(incoming, outgoing, server_side, server_hostname, session)


@dataclass(frozen=True)
class Tls:
    """One consistent set: a context, when its certificate ends, and which clients it takes."""

    context: Context
    expires: float
    required: bool
    allowed_names: frozenset[str]


def build(options: TlsServer) -> Tls:
    """Raises Unfit when the pieces cannot be used, or do not fit each other."""
    assert options.cert is not None
    assert options.key is not None
    context = Context(ssl.PROTOCOL_TLS_SERVER)
    context.authorities = ""
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.minimum_version, context.maximum_version = _VERSIONS[options.min_version], _VERSIONS[options.max_version]
    context.set_alpn_protocols(["http/1.1"])
    _choose_ciphers(context, options)
    certificate = options.cert.reveal()
    _load_pair(context, certificate, options.key)
    if options.client_auth_type != NO_CERTIFICATE:
        _trust(context, options)
    return Tls(
        context=context,
        expires=_expiry(certificate),
        required=options.client_auth_type == REQUIRED,
        allowed_names=frozenset(map(_comparable, options.client_allowed_sans)),
    )


def _choose_ciphers(context: ssl.SSLContext, options: TlsServer) -> None:
    if not options.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if not options.cipher_suites:
        return
    below_13 = [CIPHER_SUITES[name] for name in options.cipher_suites if CIPHER_SUITES[name]]
    if below_13:
        context.set_ciphers(":".join(below_13))
    elif options.max_version == "TLS12":
        raise Unfit("cipher_suites", "none of these goes with TLS12")
    else:
        context.minimum_version = ssl.TLSVersion.TLSv1_3


def _load_pair(context: ssl.SSLContext, certificate: str, key: Secret) -> None:
    try:
        with _file(certificate) as cert_file, _file(key.reveal()) as key_file:
            # A key that asks for a passphrase would make OpenSSL wait at the terminal.
            context.load_cert_chain(f"/dev/fd/{cert_file.fileno()}", f"/dev/fd/{key_file.fileno()}", password="")
    except ssl.SSLError as error:
        raise Unfit("cert", _WHY.get(error.reason or "", _UNUSABLE)) from None
    except (OSError, ValueError):
        raise Unfit("cert", _UNUSABLE) from None


def _file(text: str) -> IO[bytes]:
    """OpenSSL takes a chain and its key from files only. This one has no name, and on Linux it is on no disk."""
    if sys.platform == "linux":
        file: IO[bytes] = os.fdopen(os.memfd_create("tls"), "w+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # whoever called closes it
    file.write(text.encode())
    file.seek(0)
    return file


def _trust(context: Context, options: TlsServer) -> None:
    assert options.client_ca is not None
    # Lists of authorities have comments in any language; what is not ASCII would be refused as a whole.
    context.authorities = "\n".join(_CERTIFICATE.findall(options.client_ca.reveal()))
    try:
        context.load_verify_locations(cadata=context.authorities)
    except (ssl.SSLError, ValueError):
        raise Unfit("client_ca", "holds no certificate that can be read (PEM)") from None
    # Asked for and not required in the handshake: health checks have none. The one check before every other route
    # refuses a request without.
    context.verify_mode = ssl.CERT_OPTIONAL


def names_of(certificate: Any) -> frozenset[str]:
    """The alternative names of a verified client certificate: host names, addresses, URIs and e-mail addresses."""
    found = certificate.get("subjectAltName", ())
    return frozenset(_comparable(value) for kind, value in found if kind in _NAMES)


def _comparable(name: str) -> str:
    """An address may be written in several ways."""
    try:
        return str(ip_address(name.strip()))
    except ValueError:
        return name


def _expiry(certificate: str) -> float:
    """When the first certificate of a chain ends; the standard library tells it only of certificates it verified."""
    found = _CERTIFICATE.search(certificate)
    try:
        assert found is not None
        ((_, whole),) = _elements(ssl.PEM_cert_to_DER_cert(found[0]))
        fields = list(_elements(next(_elements(whole))[1]))
        version = fields[0][0] == 0xA0  # it may be left out
        kind, end = list(_elements(fields[3 + version][1]))[1]
        text = end.decode("ascii")
        if kind == 0x17:  # the short form has two digits for the year
            text = ("19" if text >= "50" else "20") + text
        return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except (AssertionError, ValueError, IndexError):
        raise Unfit("cert", "holds no certificate that can be read (PEM)") from None


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The kinds and contents of what stands one behind the other."""
    at = 0
    while at < len(der):
        kind, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            digits = length & 0x7F
            length = int.from_bytes(der[at : at + digits])
            at += digits
        yield kind, der[at : at + length]
        at += length
