"""A replay from its first frame to its last row."""

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
from services.cli.console.errors import Refused
from services.cli.replaying.backpressure import Lead
from services.cli.replaying.feeder import Fed, Feeder, See
from services.cli.replaying.history import Past
from services.cli.replaying.lifecycle import check_free, close_run, open_run, remove_run
from services.cli.replaying.results import have_ended
from services.kit.nats.bus import Bus
from services.kit.nats.kv_watch import watch
from services.kit.tasks import cancel_and_wait

LOOK_EVERY = 0.1
"""Seconds between looks whether the database has all."""
PATIENCE = 15.0
"""Seconds without any progress after which it is told who may be missing."""

Tell = Callable[[str], None]


class Replay:
    """One run: `play` it; `stop` ends it early and in order.

    Args:
        bus: the connection to NATS.
        database: a connection, or a pool.
        run: as it is to be.
        past: what it is fed with.
        see: lays what the run changes over a camera's spec.
        begin: what is fed, ns UTC: from before the run's `since`.
        tell: gets a line for what the person who waits should know.
    """

    def __init__(
        self, bus: Bus, database: asyncpg.Pool, run: Run, past: Past, see: See, *, begin: int, tell: Tell
    ) -> None:
        self._bus, self._database, self._run, self._tell = bus, database, run, tell
        self._lead = Lead(bus, run)
        self._feeder = Feeder(bus, run, past, see, begin=begin, lead=self._lead)
        self._begin = begin

    def stop(self) -> None:
        """Feed no more; what was fed is counted to its end."""
        self._feeder.pace.stop()

    @property
    def progress(self) -> float:
        """How much of it has been tracked, 0 … 1."""
        length = self._run.until - self._begin
        parts = [min(max(at - self._begin, 0), length) / length for at in self._lead.tracked_at.values()]
        return sum(parts) / len(parts)

    async def play(self) -> Run:
        """Run it. Returns the run as it ended: `covered` says what it counted.

        Raises:
            Refused: there is a run of that name, a spec is missing, or the run was dropped meanwhile.
        """
        await check_free(self._bus, self._database, self._run.name)
        told = await self._bus.client.subscribe(status(self._run.name, "*", "*", "*"), cb=self._pass_on)
        helpers = [asyncio.create_task(self._lead.follow()), asyncio.create_task(self._watch())]
        try:
            await open_run(self._bus, self._run)
            fed = await self._unless_dropped(self._feed_and_wait())
            state = RunState.STOPPED if self._feeder.pace.stopped else RunState.FINISHED
            ended = self._run.model_copy(update={"state": state, "covered": fed.covered})
            await close_run(self._bus, ended)
        finally:
            await cancel_and_wait(*helpers)
            with suppress(NatsError):
                await told.unsubscribe()
        return ended

    async def _feed_and_wait(self) -> Fed:
        """Feed all; each session is then closed by a row, which comes when all its crossings are in."""
        frames = self._run.kind is RunKind.FRAMES
        try:
            fed = await (self._feeder.frames() if frames else self._feeder.detections())
        except Exception:  # whatever it was: what was not fed to its end is no run
            await remove_run(self._bus, self._database, self._run.name)
            raise
        while not await have_ended(self._database, self._run.name, fed.sessions):  # noqa: ASYNC110  # no event tells it
            await asyncio.sleep(LOOK_EVERY)
        return fed

    async def _unless_dropped(self, work: Coroutine[None, None, Fed]) -> Fed:
        """Do some work, unless somebody drops the run meanwhile: nothing would ever come of it.

        Raises:
            Refused: somebody did.
        """
        working, dropped = asyncio.create_task(work), asyncio.create_task(self._dropped())
        try:
            await asyncio.wait([working, dropped], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise Refused(f"run {self._run.name} was dropped while it was played")
        finally:
            await cancel_and_wait(working, dropped)

    async def _dropped(self) -> None:
        """Return once the run's entry is deleted."""
        async for entry in watch(self._bus, RUNS, run_key(self._run.name)):
            if entry.value is None:
                return

    async def _watch(self) -> None:
        """Tell once where nothing moves."""
        while True:
            before = self.progress
            await asyncio.sleep(PATIENCE)
            if self._run.speed is None and self.progress == before < 1:
                self._tell("nothing moves: are the services running? `./taskw up`, or `docker compose ps`")
                return

    async def _pass_on(self, msg: Msg) -> None:
        said = Status.model_validate_json(msg.data)
        if said.state is State.NO_MODEL:
            self._tell(f"{said.camera}: {said.message}")
