"""A TLS server whose handshake is that of OpenSSL itself: unlike the event loop's, it says why it hangs up."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def _serve(secure: ssl.SSLSocket, answer: bytes) -> None:
    try:
        secure.do_handshake()
        secure.recv(65536)
        secure.sendall(answer)
    except ssl.SSLError:
        pass
    # Hung up on with something unread, the other side would see a reset, and maybe not what was said before.
    with socket.socket(fileno=secure.detach()) as plain:
        plain.settimeout(5.0)
        plain.shutdown(socket.SHUT_WR)
        while plain.recv(65536):
            pass


@contextmanager
def shaking_hands(context: ssl.SSLContext, answer: bytes = b"HTTP/1.1 204 Fine\r\n\r\n") -> Iterator[str]:
    """The URL of a server that answers whoever gets through the handshake."""
    listener = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            plain.settimeout(5.0)
            with suppress(OSError):
                _serve(context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), answer)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5.0)
