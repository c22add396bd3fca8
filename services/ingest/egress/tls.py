"""TLS to cameras. Certificates are not looked at: next to every camera signs its own."""

from __future__ import annotations

import socket
import ssl
from functools import cache


def encrypt(connection: socket.socket, host: str, *, timeout: float) -> ssl.SSLSocket:
    """TLS over a connection to a camera, which is closed where it does not come about.

    Raises:
        OSError: the other side does not speak TLS, or not in time.
    """
    connection.settimeout(max(0.001, timeout))
    try:
        return _context().wrap_socket(connection, server_hostname=host)
    except (OSError, ValueError) as error:  # ValueError: a name that TLS cannot say
        connection.close()
        raise OSError(str(error)) from error


@cache
def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def decrypted(connection: socket.socket) -> int:
    """Count the bytes that have been decrypted and not yet read; 0 where nothing is encrypted."""
    return connection.pending() if isinstance(connection, ssl.SSLSocket) else 0
