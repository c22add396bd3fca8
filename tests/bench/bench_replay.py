"""Speed of a replay of an hour of four cameras: `python -m tests.bench.bench_replay [MINUTES [TRACKERS]]`.

The hour is counted live first, by the same services; `metrica runs diff` compares the replay's crossings with those,
and ends this where one differs. Printed are the seconds that each took, the ratio to real time, and the processor's
seconds of each process in the replay. Two trackers, one for each core, unless another number is given.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from contracts.streams import DETECTIONS, Owner
from contracts.subjects import detections
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from services.replay.ordered_publish import OrderedPublisher
from tests.support.hour import seen, side_by_side, spec
from tests.support.record import wait_for_end
from tests.support.scene import ROOT

CAMERAS = ("door", "gate", "lift", "yard")
PATIENCE = 1200.0


async def show_live(stack: Stack, minutes: float) -> float:
    """Let the services count it live. Returns the seconds that took."""
    for camera in CAMERAS:
        setup = CameraSetup(
            camera=camera, store="shop", time_zone="UTC", address="sim://door", model="motion", paused=True,
            lines=spec(camera).lines,
        )  # fmt: skip
        await ensure_camera(stack.api_database_url, setup, stack.vault)
    environment = stack.nats_environment
    settings = ServiceSettings(
        nats_url=environment["METRICA_NATS_URL"], nats_user=environment["METRICA_NATS_USER"],
        nats_password=environment["METRICA_NATS_PASSWORD"],
    )  # fmt: skip
    bus = await Bus(settings, "bench").start()
    events = {camera: seen(camera, minutes * 60, seed=number) for number, camera in enumerate(CAMERAS)}
    began, publisher = time.monotonic(), OrderedPublisher(bus, DETECTIONS)
    for event in side_by_side(events):
        await publisher.publish(detections("live", event.store, event.camera), event.encode(), {})
    await publisher.flush()
    await bus.stop()
    for camera in CAMERAS:
        await wait_for_end(stack.database_url, camera, within=PATIENCE)
    return time.monotonic() - began


def work_done(stack: Stack) -> dict[str, float]:
    """Seconds of the processor that each process has used."""
    pids = {name: service.pid for name, service in stack.services.items()} | {"nats": stack.nats.pid}
    pids |= {"postgres": stack.postgres.pid}
    used = {}
    for name, pid in pids.items():
        process = psutil.Process(pid)
        times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
        used[name] = sum(one.user + one.system for one in times)
    return used


def metrica(stack: Stack, *words: str) -> str:
    """The output of the command line."""
    environment = {**os.environ, **stack.nats_environment, "METRICA_DATABASE_URL": stack.api_database_url}
    done = subprocess.run(
        [sys.executable, "-m", "services.cli.main", *words],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def main() -> None:
    """Measure and print."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    trackers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with tempfile.TemporaryDirectory() as folder:
        replicas = {Owner.TRACKER: trackers}
        with Stack(Path(folder), replicas=replicas, restart=False, durable=False) as stack:
            took = asyncio.run(show_live(stack, minutes))
            print(f"live, as fast as it goes: {took:.1f} s, {minutes * 60 / took:.0f} times real time")
            before, children, began = work_done(stack), os.times(), time.monotonic()
            print(metrica(stack, "replay", "detections", "--as", "again"), end="")
            took, after = time.monotonic() - began, work_done(stack)
            print(f"replay: {took:.1f} s, {minutes * 60 / took:.0f} times real time")
            print(metrica(stack, "runs", "diff", "again").splitlines()[0])
            used = {name: after[name] - before[name] for name in after}
            used["metrica replay"] = sum(os.times()[2:4]) - sum(children[2:4])
            for name, seconds in sorted(used.items(), key=lambda pair: -pair[1]):
                print(f"  {name:15} {seconds:6.1f} s of a processor")


if __name__ == "__main__":
    main()
