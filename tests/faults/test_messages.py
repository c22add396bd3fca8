"""The bus delivers at least once: messages that come twice, and consumers that somebody deleted, change no count."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from contracts.identity import LIVE
from contracts.streams import CROSSINGS, DETECTIONS, KEPT
from contracts.subjects import ROOT, Kind
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from tests.faults.films import UNHURRIED, Films
from tests.faults.history import History, difference
from tests.support.broker import eventually, jetstream
from tests.support.lanes import MODEL
from tests.support.record import crossings, wait_for_end

AGAIN = "Test-Again"
PATIENCE = 200.0


@pytest.mark.timeout(400)
def test_each_message_twice_and_each_consumer_deleted_once_changes_nothing(tmp_path: Path, films: Films) -> None:
    with Stack(tmp_path, restart=False, durable=False, environment=UNHURRIED) as stack:
        asyncio.run(_count(stack, films))


async def _count(stack: Stack, films: Films) -> None:
    camera = films.cameras[0]
    async with jetstream(stack) as js:

        async def say_again(msg: Msg) -> None:
            headers = {name: text for name, text in (msg.headers or {}).items() if name != "Nats-Msg-Id"}
            if AGAIN not in headers:
                await js._nc.publish(msg.subject, msg.data, headers={**headers, AGAIN: "yes"})

        for kind in (Kind.KEPT, Kind.DETECTIONS, Kind.CROSSINGS):
            await js._nc.subscribe(f"{ROOT}.{LIVE}.{kind}.>", cb=say_again)
        await ensure_camera(stack.api_database_url, camera, stack.vault)
        for stream, durable, after in (
            (KEPT, f"detector-{MODEL}", 100), (CROSSINGS, "persistence", 300), (KEPT, f"detector-{MODEL}", 500)
        ):  # fmt: skip

            async def far_enough(after: int = after) -> bool:
                return (await js.stream_info(DETECTIONS.name)).state.messages > 2 * after

            await eventually(far_enough, within=PATIENCE)
            await js.delete_consumer(stream.name, durable)
        await wait_for_end(stack.database_url, camera.camera, within=PATIENCE)
        found = {camera.camera: await crossings(stack.database_url, camera.camera)}
        assert difference({camera.camera: films.undisturbed[camera.camera]}, found) == []
        assert (await js.stream_info(CROSSINGS.name)).state.messages > 2 * len(found[camera.camera])
    await History(stack.database_url).assert_rollups_agree()
