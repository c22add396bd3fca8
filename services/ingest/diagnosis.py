"""Why a stream will not open, in words: from what its relay saw, and from the error that FFmpeg gave."""

from __future__ import annotations

from av.error import (
    FFmpegError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPOtherClientError,
    HTTPServerError,
    HTTPUnauthorizedError,
)

from services.ingest.egress.relay import Relay
from services.ingest.sources import SourceError, SourceLost, SourceRefused

_STATUS_OF: dict[type[FFmpegError], int] = {HTTPUnauthorizedError: 401, HTTPForbiddenError: 403, HTTPNotFoundError: 404}


def explain(name: str, relay: Relay, error: FFmpegError, *, logged_in: bool) -> SourceError:
    """The error to raise for a stream that would not open.

    Args:
        name: of the source, as people may see it.
        relay: through which it was asked for.
        error: what FFmpeg said.
        logged_in: whether a user name was sent.
    """
    if relay.failure is not None:
        return relay.failure
    # Over TLS the relay sees no status, and FFmpeg says less: a class of errors only.
    match relay.status or _STATUS_OF.get(type(error)):
        case 401 | 403 if logged_in:
            # A camera that has no such stream answers 401 too, when it asks for the password first.
            return SourceRefused(f"{name} did not let us in, or has no such stream: are user name and password right?")
        case 401 | 403:
            return SourceRefused(f"{name} asks for a user name and password: write rtsp://user:password@host/…")
        case 404 | 454:
            return SourceLost(f"{name}: the camera answers, but has no stream at this path")
        case None if isinstance(error, (HTTPServerError, HTTPOtherClientError)):
            return SourceLost(f"{name}: the camera answers with an error instead of a stream")
        case int(status) if status >= 300:
            return SourceLost(f"{name}: the camera answers with status {status} instead of a stream")
        case _:
            return SourceLost(f"{name} answers, but sends no video that can be read")
