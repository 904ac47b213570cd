"""What a watched service is sent along with every request, so that it answers."""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from pathlib import Path

from exporter.config.files import Unreadable, decode, read_bytes
from exporter.config.schema import ClientTls, PublishingService
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.model.secret import Secret
from exporter.sources.reading import Reader
from exporter.sources.tls import TlsOptions

_LARGEST_TOKEN = 64 << 10


async def credentials(options: PublishingService, read: Reader) -> dict[str, Secret | str]:
    """The headers of the configuration, and what gives access."""
    found: dict[str, Secret | str] = dict(options.headers)
    if options.basic_auth is not None:
        pair = f"{options.basic_auth.username}:{options.basic_auth.password.reveal()}"
        found["Authorization"] = Secret(f"Basic {b64encode(pair.encode()).decode()}")
    if options.bearer_token_file is not None:
        # Read every time: whoever issues such tokens renews them.
        found["Authorization"] = await read(partial(_bearer, options.bearer_token_file))
    return found


def tls_options(options: PublishingService) -> TlsOptions:
    """How a service is verified: one that is found by a name has that name, whatever its address."""
    tls = options.tls or ClientTls()
    name = tls.server_name or (options.dns.name if options.dns is not None else None)
    return TlsOptions(ca_file=tls.ca_file, server_name=name, cert_file=tls.cert_file, key_file=tls.key_file)


def _bearer(file: Path) -> Secret:
    try:
        token = decode(read_bytes(file, _LARGEST_TOKEN)).strip()
        problem = "is empty" if not token else ""
    except Unreadable as error:
        problem = str(error)
    if problem:
        raise Failure(Reason.CONFIG, f"bearer_token_file: {problem}")
    return Secret(f"Bearer {token}")
