"""The cameras that ingest works on, as the configuration changes."""

from __future__ import annotations

import asyncio

import pytest

from contracts.spec import CameraSpec, Capture, Source
from services.ingest import app
from services.ingest.app import IngestService
from services.ingest.progress import ProgressStore
from services.ingest.settings import IngestSettings
from services.kit.nats.bus import Bus
from services.kit.nats.leases.lease import Lease


class SlowWorker:
    """Stands in for a camera's worker: takes a while to leave its camera."""

    running = 0

    def __init__(
        self,
        bus: Bus,
        progress: ProgressStore,
        settings: IngestSettings,
        spec: CameraSpec,
        source: Source,
        lease: Lease,
    ) -> None:
        self.spec, self.source = spec, source

    def update(self, spec: CameraSpec) -> None:
        self.spec = spec

    async def run(self) -> None:
        SlowWorker.running += 1
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            SlowWorker.running -= 1


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> IngestService:
    monkeypatch.setattr(app, "CameraWorker", SlowWorker)
    monkeypatch.setattr(SlowWorker, "running", 0)
    settings = IngestSettings()
    service = IngestService(Bus(settings, "test"), settings)
    service._leases["door"] = object.__new__(Lease)  # it has the camera; nobody asks for how long
    return service


def configure(service: IngestService, address: str, width: int, *, paused: bool = False) -> None:
    service._sources["door"] = Source(camera="door", address=address)
    service._specs["door"] = CameraSpec(store="shop", camera="door", capture=Capture(width=width), paused=paused)


async def test_a_camera_whose_source_and_spec_change_at_once_has_one_worker(service: IngestService) -> None:
    configure(service, "rtsp://one", 960)
    await service._apply("door")
    await asyncio.sleep(0)
    configure(service, "rtsp://two", 640)
    await asyncio.gather(service._apply("door"), service._apply("door"))
    await asyncio.sleep(0)
    worker = service._workers["door"].worker

    assert isinstance(worker, SlowWorker)
    assert (worker.source.address, worker.spec.capture.width) == ("rtsp://two", 640)
    assert SlowWorker.running == 1
    await service._end("door")


async def test_a_paused_camera_has_none(service: IngestService) -> None:
    configure(service, "rtsp://one", 960)
    await service._apply("door")
    await asyncio.sleep(0)
    configure(service, "rtsp://one", 960, paused=True)
    await asyncio.gather(service._apply("door"), service._apply("door"))

    assert SlowWorker.running == 0


async def test_a_camera_that_another_replica_has_gets_none(service: IngestService) -> None:
    service._leases.clear()
    configure(service, "rtsp://one", 960)
    await service._apply("door")

    assert SlowWorker.running == 0
