"""Replicas that go, die, sleep and come back, as processes of their own: the others take up what they did."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from contracts.events import CROSSING_EVENT, SessionEnd
from contracts.identity import PARTITIONS
from contracts.spec import CameraSpec, Source, current_key, spec_key
from contracts.streams import CAMERAS, CROSSINGS, SOURCES, Owner
from contracts.subjects import Kind
from infra.local.stack import Stack
from services.kit.nats.bus import Bus
from tests.support.broker import connected, eventually, settings_of, stored
from tests.support.onlooker import Onlooker, onlooking

SHOWN = [f"camera-{number}" for number in range(4)]
PIECES = {Owner.INGEST: len(SHOWN), Owner.TRACKER: PARTITIONS}
ADDRESS = "sim://door?pace=real&fps=10&width=160&height=90"


@pytest.mark.timeout(180)
def test_what_a_replica_did_the_others_do_when_it_goes_dies_or_sleeps(tmp_path: Path) -> None:
    async def look() -> None:
        async with connected(settings_of(stack), everything=True) as bus, onlooking(bus) as onlooker:
            await asyncio.to_thread(stack.start_services)
            await configure(bus)
            await shared_by(onlooker, Owner.INGEST, "ingest", "ingest-2")
            await shared_by(onlooker, Owner.TRACKER, "tracker", "tracker-2")
            await all_move_on(onlooker)

            sleeper = stack.services["tracker-2"].pid
            os.kill(sleeper, signal.SIGSTOP)
            stack.services["ingest"].kill()
            await shared_by(onlooker, Owner.TRACKER, "tracker")
            await shared_by(onlooker, Owner.INGEST, "ingest-2")
            await all_move_on(onlooker)

            os.kill(sleeper, signal.SIGCONT)
            stack.services["ingest"].start()
            await shared_by(onlooker, Owner.INGEST, "ingest", "ingest-2")
            await shared_by(onlooker, Owner.TRACKER, "tracker", "tracker-2")
            await all_move_on(onlooker)
            assert (stack.services["tracker-2"].pid, stack.services["tracker-2"].running) == (sleeper, True)

            stack.services["tracker"].ask_to_stop()
            await shared_by(onlooker, Owner.TRACKER, "tracker-2")
            await all_move_on(onlooker)

            for name in ("ingest", "ingest-2"):
                stack.services[name].ask_to_stop()
            ends = await eventually(lambda: last_ends(bus, onlooker))
        for end in ends:  # every frame that was published was taken once, or counted as missed
            last = onlooker.frames[end.camera][-1].header
            assert last.session == end.session
            assert end.frames + end.missed == last.seq

    stack = Stack(
        tmp_path,
        replicas={Owner.INGEST: 2, Owner.TRACKER: 2, Owner.PERSISTENCE: 0, Owner.API: 0},
        environment={"METRICA_BACKENDS": '{"sleeper": "tests.support.sleeper:not_at_all"}'},
        restart=False,
        durable=False,
    )
    stack.start_servers()
    try:
        asyncio.run(look())
    finally:
        stack.stop()


async def configure(bus: Bus) -> None:
    specs, sources = await bus.bucket(CAMERAS), await bus.bucket(SOURCES)
    for camera in SHOWN:
        spec = CameraSpec(store="shop", camera=camera, model="sleeper", preview_fps=0).model_dump_json().encode()
        for key in (spec_key(camera, 1), current_key(camera)):
            await specs.put(key, spec)
        await sources.put(camera, Source(camera=camera, address=ADDRESS).model_dump_json().encode())


async def shared_by(onlooker: Onlooker, owner: Owner, *names: str) -> None:
    """Wait until these replicas have equal parts of all there is to do."""

    async def look() -> bool:
        return onlooker.even(owner, list(names), PIECES[owner])

    await eventually(look, within=60)


async def all_move_on(onlooker: Onlooker) -> None:
    """Wait until each camera's newest session has been tracked for some frames from now on."""
    before = {camera: len(onlooker.tracks[camera]) for camera in SHOWN}

    async def look() -> bool:
        return all(
            len(onlooker.tracks[camera]) >= before[camera] + 10
            and onlooker.tracks[camera][-1].tracks.session == onlooker.frames[camera][-1].header.session
            for camera in SHOWN
        )

    await eventually(look, within=60)


async def last_ends(bus: Bus, onlooker: Onlooker) -> list[SessionEnd]:
    """The ends of the sessions that are the cameras' last, once all have come."""
    events = [CROSSING_EVENT.validate_json(body) for body in await stored(bus, CROSSINGS.name, Kind.CROSSINGS)]
    assert len({event.id for event in events}) == len(events)
    last = {onlooker.frames[camera][-1].header.session for camera in SHOWN}
    ends = [event for event in events if isinstance(event, SessionEnd) and event.session in last]
    return ends if len(ends) == len(SHOWN) else []
