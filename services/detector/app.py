"""The detector service: a worker for every pool whose model this replica can open."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from nats.errors import Error as NatsError

from contracts.events import State, Status
from contracts.identity import LIVE
from contracts.spec import CameraSpec
from contracts.streams import DETECTIONS, FRAMES, KEPT, Owner
from contracts.subjects import status
from services.detector.backends.protocol import Detector, ModelUnavailable
from services.detector.model_presence import ModelPresence
from services.detector.models.loading import open_detector
from services.detector.pools import Demand, run_pools
from services.detector.settings import DetectorSettings
from services.detector.worker import SERVICE, PoolWorker
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.lease import hold
from services.kit.nats.runs import Runs
from services.kit.service import Health, serve
from services.kit.tasks import cancel_and_wait

RETRY_MODEL = 20.0
"""Seconds until a model that cannot be opened is tried again, and between checks for pools that no replica serves."""

log = logger()


class DetectorService:
    """One replica: opens the models that cameras ask for, and reports a status for each camera."""

    def __init__(self, bus: Bus, settings: DetectorSettings) -> None:
        self._bus, self._settings = bus, settings
        self._runs = Runs()
        self._demand = Demand(self._runs)
        self._presence = ModelPresence(bus, settings.replica)
        self._backends = _load_backends(settings.backends)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._demand.follow(self._bus))
            group.create_task(self._runs.follow(self._bus))
            group.create_task(self._demand.follow_runs())
            group.create_task(run_pools(self._demand, self._settings.pools, self._pool))
            if self._settings.pools:
                group.create_task(self._report_unserved_pools())

    async def _pool(self, pool: str, model: str) -> None:
        # A thread of its own: a detector's state belongs to one thread, and inference never blocks the loop.
        thread = ThreadPoolExecutor(1, thread_name_prefix=pool)
        try:
            detector = await self._open(pool, model, thread)
            worker = PoolWorker(self._bus, pool, detector, thread, self._runs)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._presence.announce(pool))
                group.create_task(self._report_changes(pool, detector))
                if not detector.stateful:
                    await worker.run()
                while True:  # one replica must get all frames of a stateful detector, in order
                    async with hold(self._bus, f"pool.{pool}", self._settings.replica) as lost:
                        await _until(lost, worker.run())
        finally:
            thread.shutdown(wait=False, cancel_futures=True)  # without waiting, as it may be in a download

    async def _open(self, pool: str, model: str, thread: ThreadPoolExecutor) -> Detector:
        settings = self._settings
        folders = [settings.models.expanduser()] if settings.models else []

        def open_it() -> Detector:
            return open_detector(
                model,
                folders=folders,
                cache=settings.cache.expanduser(),
                shared=settings.shared_cache,
                device=settings.device or None,
                precision=settings.precision,
                closer=settings.closer,
                threads=settings.threads,
                backends=self._backends,
            )

        await self._report_unless_served(pool, State.STARTING, f"Opening the model {model}.")
        while True:
            try:
                detector = await asyncio.get_running_loop().run_in_executor(thread, open_it)
            except ModelUnavailable as error:
                log.error("no model", pool=pool, reason=str(error))
                await self._report_unless_served(pool, State.NO_MODEL, str(error))
                await asyncio.sleep(RETRY_MODEL)
            except Exception as error:  # a backend may raise anything; the other pools must go on
                log.exception("a model cannot be opened", pool=pool)
                await self._report_unless_served(pool, State.NO_MODEL, f"The model {model} cannot be opened: {error!r}")
                await asyncio.sleep(RETRY_MODEL)
            else:
                log.info("model open", pool=pool, model=detector.model.model_dump())
                return detector

    async def _report_unserved_pools(self) -> None:
        """Report "no model" for pools that this replica's settings exclude and no other replica serves."""
        while True:
            await asyncio.sleep(RETRY_MODEL)
            for pool, model in self._demand.models().items():
                if pool not in self._settings.pools:
                    reason = f"No detector has the model {model}: let one take it (METRICA_POOLS), or choose another."
                    await self._report_unless_served(pool, State.NO_MODEL, reason)

    async def _report_unless_served(self, pool: str, state: State, message: str) -> None:
        """Report a state for each camera of the pool, unless another replica has its model open."""
        try:
            served = await self._presence.anywhere(pool)
        except (NatsError, TimeoutError, OSError):
            served = False
        if not served:
            await self._report_to_all(pool, state, message)

    async def _report_changes(self, pool: str, detector: Detector) -> None:
        """Report for each camera of the pool that it is running, or why it waits: at once, and at every change."""
        reported: dict[str, str] = {}
        while True:
            problem = self._bus.unstored or ""
            cameras = {spec.camera: spec for spec in self._demand.cameras(pool)}
            for camera, spec in cameras.items():
                if reported.get(camera) != problem:
                    await self._report(spec, State.RETRYING if problem else State.RUNNING, problem, detector)
            reported = dict.fromkeys(cameras, problem)
            await asyncio.sleep(1)

    async def _report_to_runs(self, pool: str, state: State, message: str) -> None:
        """Report to clients that wait for a run, by core NATS: at most once, as no stream keeps it."""
        for run in self._demand.runs(pool):
            for camera in run.cameras:
                event = Status(
                    run=run.name,
                    store=camera.store,
                    camera=camera.camera,
                    service=SERVICE,
                    state=state,
                    message=message,
                    at=time.time_ns(),
                )
                with suppress(NatsError):
                    subject = status(run.name, camera.store, camera.camera, SERVICE)
                    await self._bus.send(subject, event.encode())

    async def _report_to_all(self, pool: str, state: State, message: str) -> None:
        await self._report_to_runs(pool, state, message)
        for spec in self._demand.cameras(pool):
            await self._report(spec, state, message)

    async def _report(self, spec: CameraSpec, state: State, message: str, detector: Detector | None = None) -> None:
        event = Status(
            run=LIVE,
            store=spec.store,
            camera=spec.camera,
            service=SERVICE,
            state=state,
            message=message,
            at=time.time_ns(),
            model=detector.model if detector else None,
        )
        subject = status(LIVE, spec.store, spec.camera, SERVICE)
        if state is State.RETRYING:
            # JetStream may be the problem: by core NATS the API hears it even if it is not stored.
            await self._bus.send(subject, event.encode())
        else:
            await self._bus.publish(subject, event.encode())


async def _until(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Run some work until an event is set; the work's exceptions are raised."""
    task = asyncio.create_task(work)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        await cancel_and_wait(task, stopped)


def _load_backends(names: Mapping[str, str]) -> dict[str, Callable[[], Detector]]:
    """Import `package.module:factory` for each named model.

    Raises:
        ValueError: a name cannot be imported.
    """
    backends: dict[str, Callable[[], Detector]] = {}
    for model, path in names.items():
        module, _, factory = path.partition(":")
        try:
            backends[model] = getattr(importlib.import_module(module), factory)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"METRICA_BACKENDS: {model} = {path!r} cannot be imported: {error}") from error
    return backends


def main() -> None:
    """Run the detector until SIGTERM."""
    settings = DetectorSettings()

    async def work(bus: Bus, _health: Health) -> None:
        await DetectorService(bus, settings).run()

    serve(Owner.DETECTOR, settings, work, [FRAMES.name, KEPT.name, DETECTIONS.name])
