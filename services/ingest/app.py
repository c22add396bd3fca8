"""The ingest service: one worker for each camera that is assigned to this replica, as the configuration changes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from contracts.identity import Policy
from contracts.spec import CameraSpec, Capture, Source
from contracts.streams import CAMERAS, FRAMES, KEPT, PREVIEW, SOURCES, STATUS, Bucket, Owner
from services.ingest.camera import CameraWorker
from services.ingest.decoding import hardware
from services.ingest.probing.probe import Prober
from services.ingest.progress import ProgressStore
from services.ingest.settings import IngestSettings
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.kv_watch import watch
from services.kit.nats.leases.assignment import Assignment
from services.kit.nats.leases.lease import Lease
from services.kit.service import Health, serve
from services.kit.tasks import cancel_and_wait
from services.kit.vault import CannotOpen

M = TypeVar("M", bound=BaseModel)
log = logger()


@dataclass(frozen=True, slots=True)
class _Recipe:
    """The parts of a camera's configuration that its worker cannot change while it runs."""

    source: Source
    capture: Capture
    store: str
    pool: str | None
    """None for a live camera. A file's frames are queued by model: another model restarts the worker, which queues them
    again."""


@dataclass(frozen=True, slots=True)
class _Running:
    """A camera's worker, and the task that runs it."""

    worker: CameraWorker
    task: asyncio.Task[None]
    recipe: _Recipe


class IngestService:
    """Runs a worker for each camera that the replica holds the lease of.

    A running worker takes a change of the configuration that leaves the source as it is; any other restarts it.
    """

    def __init__(self, bus: Bus, settings: IngestSettings) -> None:
        self._bus, self._settings = bus, settings
        self._progress = ProgressStore(bus)
        self._specs: dict[str, CameraSpec] = {}
        self._sources: dict[str, Source] = {}
        self._workers: dict[str, _Running] = {}
        self._leases: dict[str, Lease] = {}
        self._assignment = Assignment(bus, Owner.INGEST.value, settings.replica, self._hold_camera)
        self._prober = Prober(bus, settings)
        self._changing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self) -> None:
        """Work until cancelled; then stop every worker and publish the end of its session."""
        decoding = self._settings.decoding
        if problem := hardware.choose(decoding):
            log.warning("decoding in software", setting=f"METRICA_DECODING={decoding}", reason=problem)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(CAMERAS, "*.current", CameraSpec, self._specs))
            group.create_task(self._follow(SOURCES, "*", Source, self._sources))
            group.create_task(self._assignment.run())
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
                    problems = error.errors(include_input=False, include_url=False, include_context=False)
                    log.error("a camera's configuration cannot be read", camera=camera, error=str(problems))
            self._assignment.set_items(
                [name for name, spec in self._specs.items() if name in self._sources and not spec.paused]
            )
            await self._apply(camera)

    async def _hold_camera(self, camera: str, lease: Lease) -> None:
        """Work on a camera until cancelled, which happens when the replica loses its lease."""
        self._leases[camera] = lease
        try:
            await self._apply(camera)
            await asyncio.Event().wait()
        finally:
            del self._leases[camera]
            await self._apply(camera)

    async def _apply(self, camera: str) -> None:
        """Start, update, restart or stop a camera's worker, as its configuration and its lease say.

        Spec and source often change together, but arrive as two entries. Each waits until the other is applied:
        otherwise both would find no worker and start one, and every person would be counted twice.
        """
        async with self._changing[camera]:
            spec, source, lease = self._specs.get(camera), self._sources.get(camera), self._leases.get(camera)
            if spec is None or source is None or spec.paused or lease is None:
                await self._end(camera)
                return
            pool = spec.pool if spec.policy is Policy.EVERY else None
            recipe = _Recipe(self._opened(source), spec.capture, spec.store, pool)
            if (running := self._workers.get(camera)) is not None:
                if running.recipe == recipe and not running.task.done():
                    running.worker.update(spec)
                    return
                await self._end(camera)
            worker = CameraWorker(self._bus, self._progress, self._settings, spec, source, lease)
            task = asyncio.create_task(worker.run(), name=f"camera {camera}")
            self._workers[camera] = _Running(worker, task, recipe)

    def _opened(self, source: Source) -> Source:
        """Unseal the source's address: sealed once more, the same address has another ciphertext."""
        with suppress(CannotOpen):
            return source.model_copy(update={"address": self._settings.vault.open(source.address)})
        return source

    async def _end(self, camera: str) -> None:
        if camera in self._workers:
            await cancel_and_wait(self._workers[camera].task)
            del self._workers[camera]  # only now: a second call meanwhile waits for the task, too


def main() -> None:
    """Run the ingest service until SIGTERM."""
    settings = IngestSettings()

    async def work(bus: Bus, _health: Health) -> None:
        await IngestService(bus, settings).run()

    serve(Owner.INGEST, settings, work, [FRAMES.name, KEPT.name, PREVIEW.name, STATUS.name])
