"""Which session a file's frames belong to: the present one, one of before that was read to its end, or a new one."""

from __future__ import annotations

import time

from contracts.spec import Capture, Source
from services.ingest.progress import Progress, choose_start
from services.ingest.session import session_of
from services.ingest.source import FrameSource
from services.ingest.threads import in_thread


class FileSessions:
    """The sessions that an opened file may be.

    Args:
        source: the file.
        capture: how its frames are taken.
        wanted: what the configuration says.
    """

    def __init__(self, source: FrameSource, capture: Capture, wanted: Source) -> None:
        self._source, self._capture, self._wanted = source, capture, wanted

    async def goes_on(self, known: Progress) -> bool:
        """Whether the session that is known is still what the configuration wants."""
        return known.is_asked_for(self._wanted) and await self._is(known)

    async def counted(self, known: Progress) -> Progress | None:
        """The session of before in which the file was read to its end, if nobody asked to count it anew."""
        for one in reversed(known.earlier):
            back = known.gone_back_to(one)
            if one.finished and back.is_asked_for(self._wanted) and await self._is(one):
                return back
        return None

    async def new(self, known: Progress | None) -> Progress:
        """A session that has not been."""
        before = known.superseded() if known else ()
        start = choose_start(self._wanted, known, now=time.time_ns())
        session = await self._named(start)
        if session in {one.session for one in before}:  # it has ended, and the tracker takes no frame of it
            start = time.time_ns()
            session = await self._named(start)
        return Progress(
            session=session, start=start, asked=self._wanted.start, again=self._wanted.again, earlier=before
        )

    async def _is(self, progress: Progress) -> bool:
        return await self._named(progress.start) == progress.session

    async def _named(self, start: int) -> str:
        return await in_thread(lambda: session_of(self._source, self._capture, start))
