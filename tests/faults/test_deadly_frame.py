"""A frame that is the death of every detector that looks at it is given up, alone, and people are counted on."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from contracts.events import DeadLetter
from contracts.streams import DLQ, Owner
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup
from services.kit.nats.dead_letters import HEADER
from tests.faults.films import FPS, film_camera
from tests.support.broker import jetstream
from tests.support.lanes import LANES, walkers, write_film
from tests.support.record import Row, crossings, wait_for_end

SEED, SECONDS, DEADLY = 1, 25.0, 120
GIVEN_UP = "given up after 3 deliveries without an answer"
FRAIL = {"METRICA_BACKENDS": '{"lanes": "tests.support.lanes:FrailReader"}'}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("detectors", [pytest.param(1, marks=pytest.mark.exhaustive), 2])
def test_a_frame_that_kills_each_detector_is_given_up_after_its_third_delivery(tmp_path: Path, detectors: int) -> None:
    street = walkers(SEED, SECONDS + 5)
    videos = tmp_path / "videos"
    videos.mkdir()
    videos.chmod(0o755)  # pytest's own folder is closed to all but us
    film = write_film(videos / "film.mp4", street, SECONDS, FPS, deadly=DEADLY)
    told: list[str] = []
    stack = Stack(
        tmp_path / "stack",
        replicas={Owner.DETECTOR: detectors},
        durable=False,
        environment=FRAIL | {"METRICA_VIDEOS": str(videos)},  # ingest sees it, whoever it runs as
        tell=told.append,
    )
    with stack:
        session, rows, letters = asyncio.run(_count(stack, film_camera(film, "camera")))
    assert sum(line.startswith("detector") and "ended" in line for line in told) == 3
    assert [(letter.reason, seq) for letter, seq in letters] == [(GIVEN_UP, str(DEADLY))]
    assert (session["skipped"], session["missed"]) == (1, 0)
    crossed = [walker for walker in street if walker.crosses < SECONDS - 1 / FPS]
    assert Counter((row[2], int(row[5] * LANES)) for row in rows) == Counter(
        (walker.direction.value, walker.lane) for walker in crossed
    )


async def _count(stack: Stack, camera: CameraSetup) -> tuple[dict[str, Any], list[Row], list[tuple[DeadLetter, str]]]:
    await ensure_camera(stack.api_database_url, camera, stack.vault)
    session = await wait_for_end(stack.database_url, camera.camera, within=200)
    letters = []
    async with jetstream(stack) as js:
        for number in range(1, (await js.stream_info(DLQ.name)).state.last_seq + 1):
            headers = (await js.get_msg(DLQ.name, number)).headers or {}
            letters.append((DeadLetter.model_validate_json(headers[HEADER]), headers["Metrica-Seq"]))
    return session, await crossings(stack.database_url, camera.camera), letters
