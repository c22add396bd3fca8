"""Why a stream will not open, in words: from what was seen on the way to it, and from the error that FFmpeg gave."""

from __future__ import annotations

from services.ingest.egress.connections import Connections
from services.ingest.egress.http import refusal
from services.ingest.source import SourceError, SourceLost


def explain(name: str, connections: Connections, *, logged_in: bool) -> SourceError:
    """The error to raise for a stream that would not open. FFmpeg's own words hold the address, and say less.

    Args:
        name: of the source, as people may see it.
        connections: by which it was asked for.
        logged_in: whether a user name was sent.
    """
    if connections.failure is not None:
        return connections.failure
    if connections.status is not None and connections.status >= 300:
        return refusal(name, connections.status, logged_in=logged_in)
    return SourceLost(f"{name} answers, but sends no video that can be read")
