"""The ingest service: a worker for each camera of this replica's part of the configuration, as it changes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from contracts.identity import Policy
from contracts.spec import CameraSpec, Source
from contracts.streams import CAMERAS, FRAMES, KEPT, PREVIEW, SOURCES, STATUS, Bucket, Owner
from services.ingest.camera import CameraWorker
from services.ingest.decoding import hardware
from services.ingest.probing.probe import Prober
from services.ingest.progress import ProgressStore
from services.ingest.settings import IngestSettings
from services.kit.logs import logger
from services.kit.nats.assignment import Share
from services.kit.nats.bus import Bus
from services.kit.nats.kv_watch import watch
from services.kit.nats.lease import Lease
from services.kit.service import Health, serve
from services.kit.tasks import cancel_and_wait
from services.kit.vault import CannotOpen

M = TypeVar("M", bound=BaseModel)
log = logger()


class IngestService:
    """Keeps a worker per camera that it leases. A change that leaves the source as it is reaches the running worker."""

    def __init__(self, bus: Bus, settings: IngestSettings) -> None:
        self._bus, self._settings = bus, settings
        self._progress = ProgressStore(bus)
        self._specs: dict[str, CameraSpec] = {}
        self._sources: dict[str, Source] = {}
        self._workers: dict[str, tuple[CameraWorker, asyncio.Task[None], tuple[object, ...]]] = {}
        self._leases: dict[str, Lease] = {}
        self._share = Share(bus, Owner.INGEST.value, settings.replica, self._camera)
        self._prober = Prober(bus, settings)
        self._changing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self) -> None:
        """Work until cancelled; then every camera is left in order."""
        wanted = self._settings.decoding
        if problem := hardware.choose(wanted):
            log.warning("decoding in software", setting=f"METRICA_DECODING={wanted}", reason=problem)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(CAMERAS, "*.current", CameraSpec, self._specs))
            group.create_task(self._follow(SOURCES, "*", Source, self._sources))
            group.create_task(self._share.run())
            group.create_task(self._prober.run())

    async def _follow(self, bucket: Bucket, pattern: str, kind: type[M], known: dict[str, M]) -> None:
        async for entry in watch(self._bus, bucket, pattern):
            camera = entry.key.removesuffix(".current")
            if entry.value is None:
                known.pop(camera, None)
            else:
                try:
                    known[camera] = kind.model_validate_json(entry.value)
                except ValidationError as error:
                    wrong = error.errors(include_input=False, include_url=False, include_context=False)
                    log.error("a camera's configuration cannot be read", camera=camera, error=str(wrong))
            self._share.want([one for one, spec in self._specs.items() if one in self._sources and not spec.paused])
            await self._apply(camera)

    async def _camera(self, camera: str, lease: Lease) -> None:
        """Have a camera, for as long as its lease is this replica's."""
        self._leases[camera] = lease
        try:
            await self._apply(camera)
            await asyncio.Event().wait()
        finally:
            del self._leases[camera]
            await self._apply(camera)

    async def _apply(self, camera: str) -> None:
        """Bring one camera's worker in line with its configuration.

        Spec and source often change together, and are told apart: while one is being applied, the other waits. Both
        would otherwise find no worker and start one, and every person would be counted twice.
        """
        async with self._changing[camera]:
            spec, source, lease = self._specs.get(camera), self._sources.get(camera), self._leases.get(camera)
            if spec is None or source is None or spec.paused or lease is None:
                await self._end(camera)
                return
            # A file's frames are queued under its model: those under the old one must be taken back.
            pool = spec.pool if spec.policy is Policy.EVERY else None
            recipe = (self._opened(source), spec.capture, spec.store, pool)
            if camera in self._workers:
                worker, task, running = self._workers[camera]
                if recipe == running and not task.done():
                    worker.update(spec)
                    return
                await self._end(camera)
            worker = CameraWorker(self._bus, self._progress, self._settings, spec, source, lease)
            task = asyncio.create_task(worker.run(), name=f"camera {camera}")
            self._workers[camera] = (worker, task, recipe)

    def _opened(self, source: Source) -> Source:
        """The source with its address in the clear: sealed anew, it is the same."""
        with suppress(CannotOpen):
            return source.model_copy(update={"address": self._settings.vault.open(source.address)})
        return source

    async def _end(self, camera: str) -> None:
        if camera in self._workers:
            _, task, _ = self._workers[camera]
            await cancel_and_wait(task)
            del self._workers[camera]  # only now: who is told to stop meanwhile still waits for it


def main() -> None:
    """Run ingest until SIGTERM."""
    settings = IngestSettings()

    async def work(bus: Bus, _health: Health) -> None:
        await IngestService(bus, settings).run()

    serve(Owner.INGEST, settings, work, [FRAMES.name, KEPT.name, PREVIEW.name, STATUS.name])
