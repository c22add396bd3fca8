"""Errors of streams that will not open, in words: by the connections that were made, and by the camera's answers."""

from __future__ import annotations

from services.ingest.egress.connections import Connections
from services.ingest.egress.http import status_error
from services.ingest.source import SourceError, SourceLost


def opening_error(name: str, connections: Connections, *, logged_in: bool) -> SourceError:
    """Choose the error to raise for a stream that would not open. FFmpeg's own text holds the address, and says less.

    Args:
        name: the source's name for display.
        connections: the connections that were made for the stream.
        logged_in: true if a user name was sent.

    Returns:
        SourceRefused where the user must change something, else SourceLost.
    """
    if connections.failure is not None:
        return connections.failure
    if connections.status is not None and connections.status >= 300:
        return status_error(name, connections.status, logged_in=logged_in)
    return SourceLost(f"{name} answers, but sends no video that can be read", code="no-readable-video", source=name)
