"""The rules of dead letters: nothing that could not be handled is lost, and burying it always succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, RawStreamMsg

from contracts.events import DeadLetter
from contracts.subjects import crossings
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer
from services.kit.nats.dead_letters import HEADER, dead_letter
from services.kit.settings import ServiceSettings
from tests.support.broker import connected

SUBJECT = crossings("live", "shop", "door")


@dataclass
class Graveyard:
    """A message on CROSSINGS, buried; and the letters."""

    bus: Bus
    consumer: OrderedConsumer

    async def receive(self) -> Msg:
        return await asyncio.wait_for(self.consumer.next(), 5)

    async def letters(self) -> list[tuple[DeadLetter, RawStreamMsg]]:
        found = []
        for seq in range(1, (await self.bus.js.stream_info("DLQ")).state.last_seq + 1):
            msg = await self.bus.js.get_msg("DLQ", seq)
            assert msg.headers is not None
            found.append((DeadLetter.model_validate_json(msg.headers[HEADER]), msg))
        return found


@pytest.fixture
async def graveyard(settings: ServiceSettings) -> AsyncIterator[Graveyard]:
    async with (
        connected(settings, everything=True) as bus,
        OrderedConsumer(bus, "CROSSINGS", ConsumerConfig()) as consumer,
    ):
        yield Graveyard(bus, consumer)


async def test_a_letter_keeps_the_body_the_headers_the_place_and_the_reason(graveyard: Graveyard) -> None:
    await graveyard.bus.publish(SUBJECT, b"\x00no JSON", headers={"Metrica-Seq": "7"}, msg_id="live/7")

    await dead_letter(graveyard.bus, "persistence", await graveyard.receive(), "it is no JSON")

    [(letter, msg)] = await graveyard.letters()
    assert (letter.service, letter.subject, letter.reason) == ("persistence", SUBJECT, "it is no JSON")
    assert (letter.stream, letter.stream_seq, letter.run) == ("CROSSINGS", 1, "live")
    assert msg.subject == "metrica.dlq.persistence.live"
    assert msg.data == b"\x00no JSON"
    assert msg.headers is not None
    assert msg.headers["Metrica-Seq"] == "7"


async def test_the_same_message_is_buried_once_by_each_service(graveyard: Graveyard) -> None:
    await graveyard.bus.publish(SUBJECT, b"bad")
    msg = await graveyard.receive()

    for service in ("persistence", "persistence", "api"):
        await dead_letter(graveyard.bus, service, msg, "bad")

    assert [letter.service for letter, _ in await graveyard.letters()] == ["persistence", "api"]


async def test_reasons_in_any_script_are_read_back(graveyard: Graveyard) -> None:
    await graveyard.bus.publish(SUBJECT, b"bad")

    await dead_letter(graveyard.bus, "api", await graveyard.receive(), "640 × 360\nträgt nichts: \udcff")

    [(letter, _)] = await graveyard.letters()
    assert letter.reason == "640 × 360\nträgt nichts: \\udcff"


@pytest.mark.parametrize(
    ("size", "headers", "reason"),
    [
        pytest.param(0, {}, "wrong, " * 20_000, id="a reason longer than headers may be"),
        pytest.param(8 * 1024 * 1024 - 40, {}, "too long", id="a body as long as the server takes"),
        pytest.param(0, {"Metrica-Note": "x" * 64_000}, "too long", id="headers as long as the server takes"),
    ],
)
async def test_whatever_came_in_can_be_buried(
    graveyard: Graveyard, size: int, headers: dict[str, str], reason: str
) -> None:
    await graveyard.bus.publish(SUBJECT, bytes(size), headers=headers)

    await asyncio.wait_for(dead_letter(graveyard.bus, "api", await graveyard.receive(), reason), 5)

    [(letter, msg)] = await graveyard.letters()
    assert letter.reason[:8] == reason[:8]
    assert len(msg.data or b"") >= size - 1024
    assert graveyard.bus.generation == 0, "the server hung up"


async def test_headers_that_nobody_could_send_again_do_not_stop_it(graveyard: Graveyard) -> None:
    headers = b"NATS/1.0\r\nBad Name: x\r\nMetrica-Note: \xff\xfe\r\n\r\n"
    body = b"body"
    line = f"HPUB {SUBJECT} {len(headers)} {len(headers) + len(body)}\r\n".encode()
    await graveyard.bus.client._send_command(line + headers + body + b"\r\n")
    await graveyard.bus.client.flush()

    await asyncio.wait_for(dead_letter(graveyard.bus, "api", await graveyard.receive(), "garbled"), 5)

    [(letter, msg)] = await graveyard.letters()
    assert (letter.reason, msg.data) == ("garbled", b"body")
