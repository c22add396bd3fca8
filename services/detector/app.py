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
from services.detector.model_presence import Colleagues
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
"""Seconds until a model that cannot be opened is tried again, and cameras that no replica takes are told so again."""

log = logger()


class DetectorService:
    """One replica: opens models as cameras ask for them, and tells each camera how that went."""

    def __init__(self, bus: Bus, settings: DetectorSettings) -> None:
        self._bus, self._settings = bus, settings
        self._runs = Runs()
        self._demand = Demand(self._runs)
        self._colleagues = Colleagues(bus, settings.replica)
        self._backends = _load_backends(settings.backends)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._demand.follow(self._bus))
            group.create_task(self._runs.follow(self._bus))
            group.create_task(self._demand.follow_runs())
            group.create_task(run_pools(self._demand, self._settings.pools, self._pool))
            if self._settings.pools:
                group.create_task(self._tell_whom_nobody_takes())

    async def _pool(self, pool: str, model: str) -> None:
        # A thread of its own: a detector's state belongs to one thread, and inference never blocks the loop.
        thread = ThreadPoolExecutor(1, thread_name_prefix=pool)
        try:
            detector = await self._open(pool, model, thread)
            worker = PoolWorker(self._bus, pool, detector, thread, self._runs)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._colleagues.tell(pool))
                group.create_task(self._tell_for_ever(pool, detector))
                if not detector.stateful:
                    await worker.run()
                while True:  # a stateful detector's frames must all come to one replica, in order
                    async with hold(self._bus, f"pool.{pool}", self._settings.replica) as lost:
                        await _until(lost, worker.run())
        finally:
            thread.shutdown(
                wait=False, cancel_futures=True
            )  # it may be in the midst of a download: not waited for here

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

        await self._tell_if_alone(pool, State.STARTING, f"Opening the model {model}.")
        while True:
            try:
                detector = await asyncio.get_running_loop().run_in_executor(thread, open_it)
            except ModelUnavailable as error:
                log.error("no model", pool=pool, reason=str(error))
                await self._tell_if_alone(pool, State.NO_MODEL, str(error))
                await asyncio.sleep(RETRY_MODEL)
            except Exception as error:  # a backend may raise anything; other cameras' models have no part in it
                log.exception("a model cannot be opened", pool=pool)
                await self._tell_if_alone(pool, State.NO_MODEL, f"The model {model} cannot be opened: {error!r}")
                await asyncio.sleep(RETRY_MODEL)
            else:
                log.info("model open", pool=pool, model=detector.model.model_dump())
                return detector

    async def _tell_whom_nobody_takes(self) -> None:
        """Tell the cameras of pools that this replica leaves to others, where there are no others."""
        while True:
            await asyncio.sleep(RETRY_MODEL)
            for pool, model in self._demand.models().items():
                if pool not in self._settings.pools:
                    reason = f"No detector has the model {model}: let one take it (METRICA_POOLS), or choose another."
                    await self._tell_if_alone(pool, State.NO_MODEL, reason)

    async def _tell_if_alone(self, pool: str, state: State, message: str) -> None:
        """Tell each camera of the pool how it stands with its model, unless another replica counts with it."""
        try:
            alone = not await self._colleagues.have(pool)
        except (NatsError, TimeoutError, OSError):
            alone = True
        if alone:
            await self._tell(pool, state, message)

    async def _tell_for_ever(self, pool: str, detector: Detector) -> None:
        """Tell each camera of the pool which model counts, or what keeps it from counting: now, and at every change."""
        told: dict[str, str] = {}
        while True:
            problem = self._bus.unstored or ""
            cameras = {spec.camera: spec for spec in self._demand.cameras(pool)}
            for camera, spec in cameras.items():
                if told.get(camera) != problem:
                    await self._say(spec, State.RETRYING if problem else State.RUNNING, problem, detector)
            told = dict.fromkeys(cameras, problem)
            await asyncio.sleep(1)

    async def _tell_runs(self, pool: str, state: State, message: str) -> None:
        """Tell who waits for a run, at most once: no stream keeps it."""
        for run in self._demand.runs(pool):
            for one in run.cameras:
                event = Status(
                    run=run.name,
                    store=one.store,
                    camera=one.camera,
                    service=SERVICE,
                    state=state,
                    message=message,
                    at=time.time_ns(),
                )
                with suppress(NatsError):
                    await self._bus.client.publish(status(run.name, one.store, one.camera, SERVICE), event.encode())

    async def _tell(self, pool: str, state: State, message: str) -> None:
        await self._tell_runs(pool, state, message)
        for spec in self._demand.cameras(pool):
            await self._say(spec, state, message)

    async def _say(self, spec: CameraSpec, state: State, message: str, detector: Detector | None = None) -> None:
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
            await self._bus.client.publish(subject, event.encode())  # perhaps not stored either: heard even so
        else:
            await self._bus.publish(subject, event.encode())


async def _until(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Run some work until an event is set; what the work raises goes up."""
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
