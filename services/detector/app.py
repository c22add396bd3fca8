"""The detector service: a worker for every pool whose model this replica can open."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from contracts.events import State
from contracts.streams import DETECTIONS, FRAMES, KEPT, Owner
from services.detector.backends.protocol import Detector, ModelUnavailable
from services.detector.model_presence import ModelPresence
from services.detector.models.loading import open_detector
from services.detector.pool_status import PoolStatus
from services.detector.pools import Demand, run_pools
from services.detector.settings import DetectorSettings
from services.detector.worker import PoolWorker
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.leases.lease import hold
from services.kit.nats.runs import Runs
from services.kit.service import Health, serve
from services.kit.tasks import until

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
        self._status = PoolStatus(bus, self._demand, self._presence)
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
                group.create_task(self._status.report_changes(pool, detector.model))
                if not detector.stateful:
                    await worker.run()
                while True:  # one replica must get all frames of a stateful detector, in order
                    async with hold(self._bus, f"pool.{pool}", self._settings.replica) as lost:
                        await until(lost, worker.run())
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

        await self._status.report_unless_served(
            pool, State.STARTING, f"Opening the model {model}.", code="opening-model", model=model
        )
        while True:
            try:
                detector = await asyncio.get_running_loop().run_in_executor(thread, open_it)
            except ModelUnavailable as error:
                problem, code = str(error), error.code
                log.error("no model", pool=pool, reason=problem)
            except Exception as error:  # a backend may raise anything; the other pools must go on
                problem, code = f"The model {model} cannot be opened: {error!r}", "model-cannot-be-opened"
                log.exception("a model cannot be opened", pool=pool)
            else:
                log.info("model open", pool=pool, model=detector.model.model_dump())
                return detector
            await self._status.report_unless_served(pool, State.NO_MODEL, problem, code=code, model=model)
            await asyncio.sleep(RETRY_MODEL)

    async def _report_unserved_pools(self) -> None:
        """Report "no model" for pools that this replica's settings exclude and no other replica serves."""
        while True:
            await asyncio.sleep(RETRY_MODEL)
            for pool, model in self._demand.models().items():
                if pool not in self._settings.pools:
                    reason = f"No detector has the model {model}: let one take it (METRICA_POOLS), or choose another."
                    await self._status.report_unless_served(
                        pool, State.NO_MODEL, reason, code="model-without-detector", model=model
                    )


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
