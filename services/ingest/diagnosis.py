"""Why a stream will not open. OpenCV only says that it did not; this asks the camera once more, in RTSP or HTTP."""

from __future__ import annotations

import re
import socket
from urllib.parse import SplitResult, urlsplit

from contracts.address import host_only
from services.ingest.sources import SourceError, SourceLost, SourceRefused

_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_STATUS = re.compile(rb"^(?:RTSP|HTTP)/\d\.\d (\d{3})")


def diagnose(address: str, *, timeout: float) -> SourceError:
    """The error to raise for a stream that would not open.

    Args:
        address: as given; its user name and password are not sent, and nothing secret is repeated in the text.
        timeout: seconds to wait for the connection, and again for the answer.
    """
    name = host_only(address)
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme.lower()]
    except ValueError:
        return SourceRefused(f"{name} is no address: its port must be a number, as in rtsp://10.0.0.5:554/stream")
    if not host:
        return SourceRefused(f"{name} names no host: write it as rtsp://10.0.0.5:554/stream")
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            status = _ask(connection, parts, host)
    except socket.gaierror:
        return SourceLost(f"no machine named {name} is known")
    except ConnectionRefusedError:
        return SourceLost(f"connection refused at {name}: is the camera on, and its port right?")
    except TimeoutError:
        return SourceLost(f"{name} did not answer within {timeout:g} s")
    except OSError as error:
        return SourceLost(f"{name} cannot be reached ({error.strerror})")
    except UnicodeError:
        return SourceRefused(f"{name} cannot be the name of a machine: write it as rtsp://10.0.0.5:554/stream")
    return _explain(name, status, logged_in=parts.username is not None)


def _ask(connection: socket.socket, parts: SplitResult, host: str) -> int | None:
    """The status of the stream, None where the other side speaks TLS or something else."""
    scheme = parts.scheme.lower()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if scheme == "rtsp":
        port = f":{parts.port}" if parts.port else ""
        request = f"DESCRIBE rtsp://{host}{port}{path} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    elif scheme == "http":
        request = f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n"
    else:
        return None
    connection.sendall(request.encode())
    status = _STATUS.match(connection.recv(64))
    return int(status[1]) if status else None


def _explain(name: str, status: int | None, *, logged_in: bool) -> SourceError:
    match status:
        case 401 | 403 if logged_in:
            # Without credentials a camera that takes ours answers 401 too: then they were right and the stream was not.
            return SourceRefused(f"{name} did not let us in, or has no such stream: are user name and password right?")
        case 401 | 403:
            return SourceRefused(f"{name} asks for a user name and password: write rtsp://user:password@host/…")
        case 404 | 454:
            return SourceLost(f"{name}: the camera answers, but has no stream at this path")
        case None | 200:
            return SourceLost(f"{name} answers, but sends no video that can be read")
        case _:
            return SourceLost(f"{name}: the camera answers with status {status} instead of a stream")
