"""Servers to probe, one per port: `python -m tests.benchmarks.targets COUNT http|https` prints the ports."""

import asyncio
import ssl
import sys
from pathlib import Path
from typing import cast

import uvloop

TLS = Path(__file__).parents[1] / "fakes" / "tls"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"


class _Target(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        self.transport.write(_ANSWER)
        self.transport.close()


async def serve(count: int, context: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(_Target, "127.0.0.1", 0, ssl=context, backlog=512) for _ in range(count)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    context = None
    if sys.argv[2] == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "server.pem")
        context.num_tickets = 0  # each probe is a new acquaintance
    uvloop.run(serve(int(sys.argv[1]), context))


if __name__ == "__main__":
    main()
