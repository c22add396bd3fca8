"""Statuses of a pool's cameras: whether their model is open, and whether their detections can be stored."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from nats.errors import Error as NatsError

from contracts.events import Model, State
from contracts.streams import Owner
from services.detector.model_presence import ModelPresence
from services.detector.pools import Demand
from services.kit.nats.bus import Bus
from services.kit.nats.status_reporter import ON_CHANGE, StatusReporter


class PoolStatus:
    """Reports the statuses of the cameras, and of the runs beside the live one, that use a pool."""

    def __init__(self, bus: Bus, demand: Demand, presence: ModelPresence) -> None:
        self._bus, self._demand, self._presence = bus, demand, presence

    async def report_unless_served(self, pool: str, state: State, message: str, *, code: str, model: str) -> None:
        """Report a state for each camera of the pool, unless another replica has its model open.

        Args:
            pool: its name.
            state: of its cameras.
            message: the problem and its remedy.
            code: name of the kind of message.
            model: named in the message.
        """
        try:
            served = await self._presence.anywhere(pool)
        except (NatsError, TimeoutError, OSError):
            served = False
        if served:
            return
        reporter = StatusReporter(self._bus, Owner.DETECTOR)
        for run in self._demand.runs(pool):
            for camera in run.cameras:
                with suppress(NatsError):  # core NATS, at most once: no stream keeps the statuses of runs
                    await reporter.report(
                        camera.store,
                        camera.camera,
                        state,
                        message,
                        code=code,
                        params={"model": model},
                        run=run.name,
                        publish=self._bus.send,
                    )
        for spec in self._demand.cameras(pool):
            await reporter.report(spec.store, spec.camera, state, message, code=code, params={"model": model})

    async def report_changes(self, pool: str, model: Model) -> None:
        """Report that each live camera of an open pool is running, or why it waits: at once, and at every change."""
        reporter = StatusReporter(self._bus, Owner.DETECTOR, every=ON_CHANGE)
        while True:
            problem = self._bus.unstored or ""
            cameras = {spec.camera: spec for spec in self._demand.cameras(pool)}
            reporter.forget_others(cameras)
            for camera, spec in cameras.items():
                await reporter.report(
                    spec.store,
                    camera,
                    State.RETRYING if problem else State.RUNNING,
                    problem,
                    code="not-stored" if problem else None,
                    params={"reason": problem} if problem else None,
                    # JetStream may be the problem: by core NATS the API hears it even if it is not stored.
                    publish=self._bus.send if problem else self._bus.publish,
                    model=model,
                )
            await asyncio.sleep(1)
