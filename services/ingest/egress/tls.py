"""TLS to cameras. Certificates are not verified: nearly all cameras have self-signed ones."""

from __future__ import annotations

import socket
import ssl
from functools import cache


def encrypt(connection: socket.socket, host: str, *, timeout: float) -> ssl.SSLSocket:
    """Start TLS on a connection to a camera. On failure the connection is closed.

    Args:
        connection: connected.
        host: for SNI.
        timeout: seconds for the handshake.

    Raises:
        OSError: the camera does not speak TLS, or not in time.
    """
    connection.settimeout(max(0.001, timeout))
    try:
        return _context().wrap_socket(connection, server_hostname=host)
    except (OSError, ValueError) as error:  # ValueError: a name that SNI cannot hold
        connection.close()
        raise OSError(str(error)) from error


@cache
def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def decrypted(connection: socket.socket) -> int:
    """The number of bytes that have been decrypted and not yet read; 0 of a connection without TLS."""
    return connection.pending() if isinstance(connection, ssl.SSLSocket) else 0
