"""Runner of a replay, from its first frame to its last row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from nats.aio.msg import Msg
from pydantic import ValidationError

from contracts.events import State, Status
from contracts.runs import FedCamera, Run, RunPhase
from contracts.subjects import status
from services.kit.nats.bus import Bus
from services.kit.nats.subscribers import subscribed
from services.kit.tasks import cancel_and_wait
from services.replay.backpressure import Backpressure
from services.replay.completion import wait_until_stored
from services.replay.feeder import Feeder, SpecChange
from services.replay.history import HistorySource

HINT_AFTER = 15.0
"""Seconds without any progress after which a note says so."""


class Replay:
    """A run to be played; `stop` ends it early and in order.

    Args:
        bus: the connection to NATS.
        run: its entry and its streams must exist.
        past: source of the frames or detections.
        change_spec: applies the run's changes to a camera's spec.
        begin: captured_at of the first frame to feed, ns UTC: before the run's `since`.
        fed: how far an earlier runner has fed it.
    """

    def __init__(
        self,
        bus: Bus,
        run: Run,
        past: HistorySource,
        change_spec: SpecChange,
        *,
        begin: int,
        fed: Iterable[FedCamera] = (),
    ) -> None:
        self._bus, self._run = bus, run
        self._backpressure = Backpressure(bus, run)
        self._feeder = Feeder(bus, run, past, change_spec, begin=begin, backpressure=self._backpressure, fed=fed)
        self._begin = begin
        self._notes: dict[str, None] = {}
        self.session_began = self._feeder.session_began

    def stop(self) -> None:
        """End feeding; frames that were fed are counted to the end."""
        self._feeder.clock.stop()

    @property
    def done(self) -> float:
        """Part of the run that has been tracked, 0 … 1."""
        length = self._run.until - self._begin
        parts = [min(max(at - self._begin, 0), length) / length for at in self._backpressure.tracked_at.values()]
        return sum(parts) / len(parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for whoever waits, in order."""
        return tuple(self._notes)

    @property
    def fed(self) -> tuple[FedCamera, ...]:
        """The part of each camera that is fed, for sure."""
        return self._feeder.fed

    async def play(self) -> Run:
        """Play the run. Returns it in its final phase, with the counted frames in `covered`.

        Raises:
            RunError: it cannot be carried out.
            Superseded: another replica plays it now.
        """
        helpers = [asyncio.create_task(self._backpressure.follow()), asyncio.create_task(self._hint())]
        try:
            async with self._statuses():
                fed = await self._feeder.feed()
                sessions = {(camera.camera, session) for camera in fed for session in camera.sessions}
                await wait_until_stored(self._bus, self._run, sessions)
        finally:
            await cancel_and_wait(*helpers)
        phase = RunPhase.STOPPED if self._feeder.clock.stopped else RunPhase.FINISHED
        covered = tuple(stretch for camera in fed for stretch in camera.covered)
        return self._run.in_phase(phase).model_copy(update={"covered": covered})

    async def _hint(self) -> None:
        """Note, once, that there is no progress."""
        while True:
            before = self.done
            await asyncio.sleep(HINT_AFTER)
            if self._run.speed is None and self.done == before < 1:
                self._notes["no progress: are the services running? `./taskw up`, or `docker compose ps`"] = None
                return

    @asynccontextmanager
    async def _statuses(self) -> AsyncIterator[None]:
        """Note the models that a detector reports as missing."""
        pattern = status(self._run.name, "*", "*", "*")
        async with subscribed(self._bus.broker, pattern, self._note_missing_model):
            yield

    async def _note_missing_model(self, msg: Msg) -> None:
        with suppress(ValidationError):
            reported = Status.model_validate_json(msg.data)
            if reported.state is State.NO_MODEL:
                self._notes[f"{reported.camera}: {reported.message}"] = None
