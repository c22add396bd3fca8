"""Runner of a replay, from its first frame to its last row."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress

import asyncpg
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from contracts.events import State, Status
from contracts.runs import Run, RunKind, RunState, run_key
from contracts.streams import RUNS
from contracts.subjects import status
from services.cli.console.errors import CommandError
from services.cli.replaying.backpressure import Backpressure
from services.cli.replaying.feeder import FedSessions, Feeder, SpecChange
from services.cli.replaying.history import HistorySource
from services.cli.replaying.lifecycle import check_free, close_run, open_run, remove_run
from services.cli.replaying.results import have_ended
from services.kit.nats.bus import Bus
from services.kit.nats.kv_watch import watch
from services.kit.tasks import cancel_and_wait

POLL_INTERVAL = 0.1
"""Seconds between queries for the sessions' last rows."""
HINT_AFTER = 15.0
"""Seconds without any progress after which a hint is printed."""

Tell = Callable[[str], None]


class Replay:
    """A run to be played; `stop` ends it early and in order.

    Args:
        bus: the connection to NATS.
        database: a connection, or a pool.
        run: the planned run.
        past: source of the frames or detections.
        change_spec: applies the run's changes to a camera's spec.
        begin: captured_at of the first frame to feed, ns UTC: before the run's `since`.
        tell: prints a line for the waiting user.
    """

    def __init__(
        self,
        bus: Bus,
        database: asyncpg.Pool,
        run: Run,
        past: HistorySource,
        change_spec: SpecChange,
        *,
        begin: int,
        tell: Tell,
    ) -> None:
        self._bus, self._database, self._run, self._tell = bus, database, run, tell
        self._backpressure = Backpressure(bus, run)
        self._feeder = Feeder(bus, run, past, change_spec, begin=begin, backpressure=self._backpressure)
        self._begin = begin

    def stop(self) -> None:
        """End feeding; frames that were fed are counted to the end."""
        self._feeder.clock.stop()

    @property
    def progress(self) -> float:
        """Part of the run that has been tracked, 0 … 1."""
        length = self._run.until - self._begin
        parts = [min(max(at - self._begin, 0), length) / length for at in self._backpressure.tracked_at.values()]
        return sum(parts) / len(parts)

    async def play(self) -> Run:
        """Play the run. Returns it in its final state, with the counted frames in `covered`.

        Raises:
            CommandError: there is a run of that name, a spec is missing, or the run was dropped meanwhile.
        """
        await check_free(self._bus, self._database, self._run.name)
        statuses = await self._bus.client.subscribe(status(self._run.name, "*", "*", "*"), cb=self._report_no_model)
        helpers = [asyncio.create_task(self._backpressure.follow()), asyncio.create_task(self._hint())]
        try:
            await open_run(self._bus, self._run)
            fed = await self._unless_dropped(self._feed_and_wait())
            state = RunState.STOPPED if self._feeder.clock.stopped else RunState.FINISHED
            ended = self._run.model_copy(update={"state": state, "covered": fed.covered})
            await close_run(self._bus, ended)
        finally:
            await cancel_and_wait(*helpers)
            with suppress(NatsError):
                await statuses.unsubscribe()
        return ended

    async def _feed_and_wait(self) -> FedSessions:
        """Feed all data, and wait for each session's closing row, which is written after all its crossings."""
        frames = self._run.kind is RunKind.FRAMES
        try:
            fed = await (self._feeder.frames() if frames else self._feeder.detections())
        except Exception:  # after any error, the run is incomplete, and removed
            await remove_run(self._bus, self._database, self._run.name)
            raise
        while not await have_ended(self._database, self._run.name, fed.sessions):  # noqa: ASYNC110  # the database has no event for it
            await asyncio.sleep(POLL_INTERVAL)
        return fed

    async def _unless_dropped(self, work: Coroutine[None, None, FedSessions]) -> FedSessions:
        """Await `work`, and cancel it if the run is dropped meanwhile, as it would never end.

        Raises:
            CommandError: the run was dropped.
        """
        working, dropped = asyncio.create_task(work), asyncio.create_task(self._dropped())
        try:
            await asyncio.wait([working, dropped], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise CommandError(f"run {self._run.name} was dropped while it was played")
        finally:
            await cancel_and_wait(working, dropped)

    async def _dropped(self) -> None:
        """Return once the run's entry is deleted."""
        async for entry in watch(self._bus, RUNS, run_key(self._run.name)):
            if entry.value is None:
                return

    async def _hint(self) -> None:
        """Print a hint, once, if there is no progress."""
        while True:
            before = self.progress
            await asyncio.sleep(HINT_AFTER)
            if self._run.speed is None and self.progress == before < 1:
                self._tell("no progress: are the services running? `./taskw up`, or `docker compose ps`")
                return

    async def _report_no_model(self, msg: Msg) -> None:
        reported = Status.model_validate_json(msg.data)
        if reported.state is State.NO_MODEL:
            self._tell(f"{reported.camera}: {reported.message}")
