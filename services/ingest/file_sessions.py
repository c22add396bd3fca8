"""The choice of a file's session: continue the present one, go back to an earlier finished one, or begin a new one."""

from __future__ import annotations

import time

from contracts.spec import Capture, Source
from services.ingest.progress import FileProgress, choose_start
from services.ingest.session import session_of
from services.ingest.source import FrameSource
from services.ingest.threads import in_thread


class FileSessions:
    """The sessions that an opened file may belong to.

    Args:
        source: the file.
        capture: frame rate, width and JPEG quality of its frames.
        configured: the source as it is configured: its start, and whether to count anew.
    """

    def __init__(self, source: FrameSource, capture: Capture, configured: Source) -> None:
        self._source, self._capture, self._configured = source, capture, configured

    async def continues(self, known: FileProgress) -> bool:
        """Tell whether the file still belongs to the session that is known."""
        return known.is_configured_by(self._configured) and await self._is(known)

    async def already_counted(self, known: FileProgress) -> FileProgress | None:
        """Find the earlier session in which the file was read to its end; None where it is to be counted anew."""
        for earlier in reversed(known.earlier):
            back = known.back_to(earlier)
            if earlier.finished and back.is_configured_by(self._configured) and await self._is(earlier):
                return back
        return None

    async def new(self, known: FileProgress | None) -> FileProgress:
        """Begin a session of another name than all that the camera had."""
        earlier = known.history() if known else ()
        start = choose_start(self._configured, known, now=time.time_ns())
        session = await self._named(start)
        if session in {progress.session for progress in earlier}:  # ended: the tracker takes no more frames of it
            start = time.time_ns()
            session = await self._named(start)
        return FileProgress(
            session=session, start=start, asked=self._configured.start, again=self._configured.again, earlier=earlier
        )

    async def _is(self, progress: FileProgress) -> bool:
        return await self._named(progress.start) == progress.session

    async def _named(self, start: int) -> str:
        return await in_thread(lambda: session_of(self._source, self._capture, start))
