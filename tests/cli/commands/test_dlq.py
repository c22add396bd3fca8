"""`metrica dlq` and `metrica tail` on a real server."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator

import pytest
from nats.js.api import ConsumerConfig

from contracts.events import DeadLetter
from contracts.subjects import crossings, detections
from infra.local.processes.nats import DEVELOPER, NatsServer
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer
from services.kit.nats.dead_letters import dead_letter
from services.kit.settings import ServiceSettings
from tests.cli.command import METRICA, SETTINGS, Outcome, metrica
from tests.support.broker import connected, eventually, stored

CROSSING, DETECTIONS = crossings("live", "shop", "door"), detections("live", "shop", "door")


@pytest.fixture(autouse=True)
def environment(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in nats_server.environment(DEVELOPER).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """A bus with two dead letters: 1 of persistence, 2 of the tracker."""
    async with connected(settings, everything=True) as bus:
        for stream, subject, service in (
            ("CROSSINGS", CROSSING, "persistence"),
            ("DETECTIONS", DETECTIONS, "tracker"),
        ):
            async with OrderedConsumer(bus, stream, ConsumerConfig()) as consumer:
                await bus.publish(subject, b"\x00 no JSON", headers={"Metrica-Seq": "7"}, msg_id=f"live/{service}")
                await dead_letter(bus, service, await consumer.next(), f"{service} cannot read it")
        yield bus


async def dlq(*arguments: str) -> Outcome:
    return await asyncio.to_thread(metrica, "dlq", *arguments)


async def letters(bus: Bus) -> int:
    return (await bus.js.stream_info("DLQ")).state.messages


async def test_letters_are_listed_with_their_reasons(bus: Bus) -> None:
    everything = [json.loads(line) for line in (await dlq("list", "--json")).out.splitlines()]
    tracker = (await dlq("list", "--service", "tracker")).out

    assert [(one["number"], one["service"], one["subject"]) for one in everything] == [
        (1, "persistence", CROSSING),
        (2, "tracker", DETECTIONS),
    ]
    assert "tracker cannot read it" in tracker
    assert "persistence" not in tracker


async def test_where_there_are_none_it_says_so(settings: ServiceSettings) -> None:
    async with connected(settings, everything=True):
        assert (await dlq("list")).out == "There are no dead letters.\n"


async def test_one_is_shown_whole(bus: Bus) -> None:
    shown = (await dlq("show", "1")).out

    assert '"Metrica-Seq": "7"' in shown
    assert shown.endswith("\x00 no JSON\n")


async def test_a_retried_letter_is_where_it_came_from_and_no_longer_dead(bus: Bus) -> None:
    assert (await dlq("retry", "1")).out == "1 letter sent once more\n"

    assert await stored(bus, "CROSSINGS") == [b"\x00 no JSON"] * 2
    again = await bus.js.get_msg("CROSSINGS", 2)
    assert again.subject == CROSSING
    assert (again.headers or {})["Metrica-Seq"] == "7"
    assert await letters(bus) == 1


async def test_all_of_one_service_are_dropped(bus: Bus) -> None:
    assert (await dlq("drop", "--all", "--service", "tracker")).out == "1 letter deleted\n"

    [left] = (await dlq("list", "--json")).out.splitlines()
    assert DeadLetter.model_validate_json(left).service == "persistence"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show", "9"], "there is no dead letter 9"),
        (["drop"], "say which letters"),
        (["retry", "1", "--all"], "say which"),
    ],
)
async def test_what_cannot_be_is_one_clear_line(bus: Bus, arguments: list[str], told: str) -> None:
    outcome = await dlq(*arguments)

    assert outcome.code == 2
    assert told in outcome.err
    assert await letters(bus) == 2


async def test_without_a_broker_it_says_what_to_do(nats_server: NatsServer) -> None:
    nats_server.kill()
    outcome = await dlq("list")
    nats_server.start()

    assert outcome.code == 2
    assert "METRICA_NATS_URL" in outcome.err
    assert outcome.err.count("\n") == 1


async def test_tail_shows_what_passes(bus: Bus) -> None:
    tailing = asyncio.create_task(
        asyncio.to_thread(metrica, "tail", "metrica.live.crossings.>", "--count", "1", "--json")
    )

    async def heard() -> bool:
        await bus.client.publish("metrica.live.crossings.shop.door", b'{"direction": "in"}')
        return tailing.done()

    await eventually(heard)
    told = json.loads((await tailing).out)
    assert (told["subject"], told["event"]) == (CROSSING, {"direction": "in"})


@pytest.mark.parametrize(("command", "code"), [(">/dev/full", 2), ("| head -1 >/dev/null", 0)])
async def test_tail_ends_with_its_output(bus: Bus, command: str, code: int) -> None:
    script = f'"$0" tail "metrica.live.crossings.>" --json {command}'
    tailing = await asyncio.create_subprocess_exec(
        "bash", "-o", "pipefail", "-c", script, METRICA, stderr=asyncio.subprocess.PIPE, env=os.environ | SETTINGS
    )

    async def ended() -> bool:
        await bus.client.publish("metrica.live.crossings.shop.door", b"{}")
        return tailing.returncode is not None

    await eventually(ended, within=60)  # a process of its own starts first
    _, told = await tailing.communicate()
    assert tailing.returncode == code
    assert len(told.splitlines()) == (1 if code else 0)
