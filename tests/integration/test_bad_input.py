"""Bad input is normal input: a clear error where its user looks, nothing lost, no service down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import httpx
import nats
import pytest
from nats.js import JetStreamContext

from contracts.events import Detections
from contracts.frames import FrameHeader
from contracts.identity import Policy
from contracts.spec import CountingLine
from contracts.streams import DLQ
from contracts.subjects import crossings as crossings_subject
from contracts.subjects import detections, kept
from infra.local.ports import free_port
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup
from services.ingest.sources.simulation import open_simulation
from services.kit.nats.dead_letters import HEADER
from tests.api.served import BROWSER
from tests.support.broker import jetstream
from tests.support.record import crossings, wait_for_end

SOUND = "sim://door?people=4&pace=max&spacing=clear"
DOOR = open_simulation(SOUND).line
TRUTH = sorted(one.direction for one in open_simulation(SOUND).truth())
LINE = CountingLine(id="line", x1=0.5, y1=0.0, x2=0.5, y2=1.0)


@pytest.mark.timeout(180)
def test_bad_cameras_and_bad_messages_are_told_and_a_sound_camera_counts_on(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "swapped.onnx").write_bytes(b"not the weights that were pinned")
    (models / "checksums.sha256").write_text(f"{'0' * 64}  swapped.onnx\n")
    videos = tmp_path / "videos"
    videos.mkdir()
    empty = videos / "empty.mp4"
    empty.write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
    expected = {
        "missing": ("refused", "there is no such file"),
        "refusing": ("retrying", "refused"),
        "zero-frames": ("refused", "empty.mp4 is no video"),
        "swapped": ("no_model", "SHA-256"),
        "unknown-model": ("no_model", "no-such-model"),
        "outside": ("refused", "outside the picture"),
    }

    async def look(stack: Stack) -> None:
        await _configure(stack, tmp_path, empty)
        async with jetstream(stack) as js:
            await _send_rubbish(js)
            await _statuses(stack.url, expected)
            await wait_for_end(stack.database_url, "sound", within=90)
            letters = await _dead_letters(js, 4)
        assert await _directions(stack, "sound") == TRUTH
        # Who does what the dashboard says, and chooses a model that is there, gets the whole count.
        await ensure_camera(stack.api_database_url, _camera("unknown-model", SOUND, line=DOOR))
        await wait_for_end(stack.database_url, "unknown-model", within=60)
        assert await _directions(stack, "unknown-model") == TRUTH
        assert sum("JPEG" in letter or "picture" in letter for letter in letters) == 1, letters
        assert sum("Metrica-" in letter for letter in letters) == 1, letters

    places = {"METRICA_MODELS": str(models), "METRICA_VIDEOS": str(videos)}
    stack = Stack(tmp_path / "stack", restart=False, durable=False, environment=places)
    with stack:
        before = {name: service.pid for name, service in stack.services.items()}
        asyncio.run(look(stack))
        assert [name for name, service in stack.services.items() if not (service.running and service.ready())] == []
        assert {name: service.pid for name, service in stack.services.items()} == before


def _camera(
    name: str, address: str, model: str = "motion", line: CountingLine = LINE, *, paused: bool = False
) -> CameraSetup:
    return CameraSetup(
        camera=name, store="store", time_zone="UTC", address=address, model=model, lines=(line,), paused=paused
    )


async def _directions(stack: Stack, camera: str) -> list[str]:
    return sorted(row[2] for row in await crossings(stack.database_url, camera))


async def _configure(stack: Stack, folder: Path, empty: Path) -> None:
    for setup in (
        _camera("sound", SOUND, line=DOOR),
        _camera("missing", str(folder / "nowhere.mp4")),
        _camera("refusing", f"rtsp://somebody:secret@127.0.0.1:{free_port()}/cam"),
        _camera("zero-frames", str(empty)),
        _camera("swapped", SOUND, model="swapped"),
        _camera("unknown-model", SOUND, model="no-such-model"),
        _camera("outside", SOUND),
        _camera("noise", SOUND, paused=True),
    ):
        await ensure_camera(stack.api_database_url, setup, stack.vault)
    with pytest.raises(ValueError, match="outside the picture"):
        CountingLine.model_validate({**LINE.model_dump(), "x1": 1.5})
    connection = await asyncpg.connect(stack.api_database_url)  # behind the back of what checks it
    await connection.execute("UPDATE line SET x1 = 1.5 WHERE camera = 'outside'")
    await connection.execute("UPDATE camera SET revision = revision + 1 WHERE id = 'outside'")
    await connection.execute("NOTIFY metrica_config")
    await connection.close()


async def _send_rubbish(js: JetStreamContext) -> None:
    """A frame that is no JPEG, one without headers, detections and a crossing that are none."""
    header = FrameHeader(
        run="live", store="store", camera="noise", session="noise", seq=0, captured_at=1, width=64, height=64,
        spec_revision=1, policy=Policy.EVERY,
    )  # fmt: skip
    frames = kept("live", "motion", "store", "noise")
    await _until_taken(lambda: js.publish(frames, b"\xff\xd8 not a JPEG", headers=header.to_headers()))
    await js.publish(frames, b"whatever", headers={"Metrica-Camera": "noise"})
    lying = Detections.of(header).model_copy(update={"camera": "sound"})
    await js.publish(detections("live", "store", "noise"), lying.encode())
    await js.publish(crossings_subject("live", "store", "noise"), b'{"kind": "crossing", "at": "yesterday"}')


async def _until_taken(publish: Callable[[], Awaitable[object]]) -> None:
    """The stream may not be declared yet."""
    while True:
        try:
            await publish()
        except nats.js.errors.NoStreamResponseError:
            await asyncio.sleep(0.05)
        else:
            return


async def _statuses(url: str, expected: dict[str, tuple[str, str]]) -> None:
    """Wait until the API shows each camera's trouble in the expected state and words, and no password."""
    deadline = time.monotonic() + 60
    async with httpx.AsyncClient(base_url=url, headers=BROWSER) as client:
        while True:
            answer = await client.get("/v1/stores")
            said = {
                camera["id"]: {(status["state"], status["message"]) for status in camera["statuses"]}
                for store in answer.json()
                for camera in store["cameras"]
            }
            missing = {
                name: (wanted, said.get(name))
                for name, wanted in expected.items()
                if not any(state == wanted[0] and wanted[1] in message for state, message in said.get(name, ()))
            }
            if not missing:
                assert "secret" not in answer.text
                return
            assert time.monotonic() < deadline, missing
            await asyncio.sleep(0.1)


async def _dead_letters(js: JetStreamContext, count: int) -> list[str]:
    """The reasons of the dead letters, once there are so many."""
    while (info := await js.stream_info(DLQ.name)).state.messages < count:  # noqa: ASYNC110  # no event tells it
        await asyncio.sleep(0.05)
    assert info.state.messages == count
    letters = [await js.get_msg(DLQ.name, seq) for seq in range(1, count + 1)]
    return [(letter.headers or {})[HEADER] for letter in letters]
