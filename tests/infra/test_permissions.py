"""Rights on NATS: every user tries everything, on a real server.

The tables here say it in their own words, not in those of `infra.nats.permissions`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager

import pytest
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import StreamConfig

from contracts import streams
from contracts.subjects import Kind, inbox
from infra.local.processes.nats import DEVELOPER, USERS, NatsServer
from services.kit.nats.connection import NotPermitted, SturdyClient
from services.kit.settings import ServiceSettings
from tests.support.broker import connected

pytestmark = pytest.mark.trespass

SERVICES = ("ingest", "detector", "tracker", "persistence", "api", "replay")

OWNERS = {
    "FRAMES": "ingest",
    "KEPT": "ingest",
    "PREVIEW": "ingest",
    "RECORDED": "ingest",
    "STATUS": "ingest",
    "DETECTIONS": "detector",
    "PATHS": "tracker",
    "CROSSINGS": "tracker",
    "DLQ": "persistence",
    "KV_cameras": "api",
    "KV_runs": "api",
    "KV_sources": "api",
    "KV_ingest_state": "ingest",
    "KV_attempts": "detector",
    "KV_views": "detector",
    "KV_checkpoints": "tracker",
    "KV_leases": "tracker",
}
READERS = {
    "FRAMES": {"detector"},
    "KEPT": {"detector"},
    "PREVIEW": {"api"},
    "STATUS": {"api", "persistence"},
    "RECORDED": {"replay"},
    "DETECTIONS": {"tracker", "replay"},
    "PATHS": {"replay"},
    "CROSSINGS": {"persistence"},
    "KV_cameras": {"ingest", "detector", "tracker", "replay"},
    "KV_runs": {"detector", "tracker", "persistence", "replay"},
    "KV_sources": {"ingest"},
    "KV_checkpoints": {"ingest"},
    "KV_leases": {"ingest", "detector", "replay"},
}
"""Beside the owners."""
OF_RUNS = ("RUN_night_KEPT", "RUN_night_DETECTIONS", "RUN_night_PATHS", "RUN_night_CROSSINGS", "RUN_night_PROGRESS")
RUN_WORKERS = {"detector", "tracker", "persistence", "replay"}
PURGES = {"KEPT": "ingest", "DLQ": "replay", "KV_runs": "replay", "KV_checkpoints": "replay"}

PUBLISHERS = {
    "frames": "ingest",
    "kept": "ingest",
    "preview": "ingest",
    "recorded": "ingest",
    "detections": "detector",
    "paths": "tracker",
    "crossings": "tracker",
    "coverage": "tracker",
    "edge": "api",
    "tracks": "tracker",
    "counts": "persistence",
}
TO_RUNS = {"kept": "replay", "detections": "replay", "crossings": "replay", "progress": "tracker"}
"""Also publish these in runs beside the live one."""
ADDRESS = b"rtsp://me:secret@door"
LEASES = {"ingest": "ingest", "tracker": "tracker", "pool": "detector", "replay": "replay"}
"""Whose leases begin with what."""

READING = (
    "$JS.API.STREAM.INFO.{}",
    "$JS.API.STREAM.MSG.GET.{}",
    "$JS.API.DIRECT.GET.{}",
    "$JS.API.DIRECT.GET.{}.metrica.live.shop.door",
    "$JS.API.CONSUMER.CREATE.{}",
    "$JS.API.CONSUMER.CREATE.{}.one",
    "$JS.API.CONSUMER.CREATE.{}.one.metrica.live.shop.door",
    "$JS.API.CONSUMER.DURABLE.CREATE.{}.one",
    "$JS.API.CONSUMER.INFO.{}.one",
    "$JS.API.CONSUMER.MSG.NEXT.{}.one",
    "$JS.ACK.{}.one.1.1.1.1.0",
    "$JS.FC.{}.one.1",
)
DECLARING = ("$JS.API.STREAM.CREATE.{}", "$JS.API.STREAM.UPDATE.{}")
DESTROYING = (
    "$JS.API.STREAM.DELETE.{}",
    "$JS.API.STREAM.PURGE.{}",
    "$JS.API.STREAM.MSG.DELETE.{}",
    "$JS.API.STREAM.RESTORE.{}",
    "$JS.API.STREAM.SNAPSHOT.{}",
    "$JS.API.STREAM.LEADER.STEPDOWN.{}",
    "$JS.API.CONSUMER.DELETE.{}.one",
    "$JS.API.CONSUMER.PAUSE.{}.one",
)
NOBODYS = (
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.ACCOUNT.PURGE.$G",
    "$SYS.REQ.SERVER.PING",
    "$KV.another.key",
    "metrica.live.another.shop.door",
    "metrica.live.frames",
    "metrica.dlq",
    "another",
)


def publishing() -> Iterator[tuple[str, set[str]]]:
    """Every kind of subject that can be published to, and the services that may."""
    for run in ("live", "night"):
        for kind, publisher in PUBLISHERS.items():
            feeder = {TO_RUNS[kind]} if run == "night" and kind in TO_RUNS else set()
            yield f"metrica.{run}.{kind}.shop.door", {publisher} | feeder
        yield f"metrica.{run}.progress.shop.door", {"tracker"} if run == "night" else set()
        for service in SERVICES:
            yield f"metrica.{run}.status.shop.door.{service}", {service}
            yield f"metrica.dlq.{service}.{run}", {service}
    for kind in (*PUBLISHERS, "status", "progress"):  # a dead letter of no service's
        yield f"metrica.dlq.{kind}.shop.door", set()
        yield f"metrica.dlq.{kind}.shop.door.ingest", set()
    for name, owner in OWNERS.items():
        yield from ((form.format(name), {owner}) for form in DECLARING)
        yield from ((form.format(name), {owner} | READERS.get(name, set())) for form in READING)
        for form in DESTROYING:
            yield form.format(name), {PURGES[name]} if "PURGE" in form and name in PURGES else set()
        if name.startswith("KV_") and name != "KV_leases":
            writers = {owner, "replay"} if name == "KV_runs" else {owner}
            yield f"$KV.{name.removeprefix('KV_')}.shop.door", writers
    for prefix, service in LEASES.items():
        yield f"$KV.leases.{prefix}.piece.1", {service}
    for name in OF_RUNS:
        yield from ((form.format(name), RUN_WORKERS) for form in READING)
        made = (*DECLARING, "$JS.API.STREAM.DELETE.{}")
        yield from (
            (form.format(name), {"replay"} if form in made else set[str]()) for form in (*DECLARING, *DESTROYING)
        )
    yield from (("metrica.probe", {"api"}), ("metrica.probe.cancel", {"api"}))
    yield from ((subject, set[str]()) for subject in NOBODYS)


SHOWN_LIVE = {"tracks", "counts", "status", "crossings", "edge"}
"""Kinds that the API may subscribe to."""


def listening() -> Iterator[tuple[str, set[str]]]:
    """Every kind of subject that can be listened to, and the services that may."""
    for service in (*SERVICES, DEVELOPER):
        yield f"_INBOX_{service}.>", {service} & set(SERVICES)
    for kind in (*PUBLISHERS, "status", "progress"):
        listeners = {"api", "replay"} if kind == "status" else {"api"} if kind in SHOWN_LIVE else set()
        yield f"metrica.live.{kind}.>", listeners
    yield from (("metrica.probe", {"ingest"}), ("metrica.probe.cancel", {"ingest"}))
    everything = (">", "_INBOX.>", "*.>", "metrica.>", "metrica.dlq.>", "$JS.>", "$JS.API.>", "$JS.ACK.>", "$SYS.>")
    yield from ((subject, set[str]()) for subject in everything)
    yield from ((f"$KV.{name.removeprefix('KV_')}.>", set[str]()) for name in OWNERS if name.startswith("KV_"))


class User:
    """A user's connection, and what the server refused to it."""

    def __init__(self) -> None:
        self.client = SturdyClient()
        self.refused: list[str] = []

    async def report(self, error: Exception) -> None:
        if isinstance(error, NotPermitted):
            self.refused.append(str(error))

    async def may_publish(self, subjects: Iterable[str], payload: str = "") -> set[str]:
        """Those of the subjects that the server lets this user publish to."""
        asked = set(subjects)
        for subject in asked:
            await self.client.publish(subject, payload.encode())
        return asked - await self._refused("publish to ")

    async def may_listen(self, subjects: Iterable[str]) -> set[str]:
        """Those of the subjects that the server lets this user listen to."""
        asked = set(subjects)
        for subject in asked:
            await self.client.subscribe(subject)
        return asked - await self._refused("subscribe to ")

    async def _refused(self, what: str) -> set[str]:
        for _ in range(2):  # the first question may overtake what was published; complaints come before the answer
            await self.client.flush()
        return {refusal.removeprefix(what) for refusal in self.refused if refusal.startswith(what)}


@asynccontextmanager
async def entered(server: NatsServer, name: str) -> AsyncIterator[User]:
    """A user who is let in, with an inbox of their own."""
    user = User()
    await user.client.connect(
        server.url, user=name, password=server.passwords[name], inbox_prefix=inbox(name), error_cb=user.report
    )
    try:
        yield user
    finally:
        await user.client.close()


@pytest.fixture(autouse=True)
async def everything_is_there(settings: ServiceSettings) -> AsyncIterator[None]:
    """All streams and buckets, a run's among them."""
    async with connected(settings, everything=True) as bus:
        for name in OF_RUNS:
            kind = name.rpartition("_")[2].lower()
            await bus.js.add_stream(StreamConfig(name=name, subjects=[f"metrica.night.{kind}.>"]))
        yield


def test_the_tables_name_everything_there_is() -> None:
    assert {stream.name: stream.owner for stream in streams.STREAMS} | {
        f"KV_{bucket.name}": bucket.owner for bucket in streams.BUCKETS
    } == OWNERS
    assert {*PUBLISHERS, "status", "progress"} == set(Kind)
    assert (*SERVICES, DEVELOPER) == USERS


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_publishes_declares_and_reads_what_is_its_own_and_nothing_else(
    nats_server: NatsServer, service: str
) -> None:
    acts = dict(publishing())

    async with entered(nats_server, service) as user:
        assert await user.may_publish(acts) == {subject for subject, who in acts.items() if service in who}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_listens_to_what_is_meant_for_it_and_to_nothing_else(
    nats_server: NatsServer, service: str
) -> None:
    acts = dict(listening())

    async with entered(nats_server, service) as user:
        assert await user.may_listen(acts) == {subject for subject, who in acts.items() if service in who}


async def test_the_developer_may_do_everything(nats_server: NatsServer) -> None:
    acts = [subject for subject, _ in publishing()]

    async with entered(nats_server, DEVELOPER) as user:
        assert await user.may_publish(acts) == set(acts)
        assert await user.may_listen(dict(listening())) == set(dict(listening()))


async def test_what_is_refused_reaches_nobody(nats_server: NatsServer) -> None:
    may = {subject: who for subject, who in publishing() if subject.startswith(("metrica.", "$KV."))}

    async with entered(nats_server, DEVELOPER) as developer:
        passing = [await developer.client.subscribe(subject) for subject in ("metrica.>", "$KV.>")]
        await developer.client.flush()
        for service in SERVICES:
            async with entered(nats_server, service) as user:
                await user.may_publish(may, service)
        await developer.client.flush()
        seen = {(msg.subject, msg.data.decode()) for each in passing async for msg in arrived(each)}

    assert seen == {(subject, service) for subject, who in may.items() for service in who}


async def arrived(subscription: Subscription) -> AsyncIterator[Msg]:
    """The messages that have arrived so far."""
    while subscription.pending_msgs:
        yield await subscription.next_msg()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_cameras_address_is_read_by_ingest_and_the_api_alone(nats_server: NatsServer, service: str) -> None:
    """The address may hold the camera's password."""
    key, permitted = "$KV.sources.door", service in {"ingest", "api"}
    patience = 10.0 if permitted else 0.3
    async with entered(nats_server, DEVELOPER) as developer, entered(nats_server, service) as user:
        await (await developer.client.jetstream().key_value("sources")).put("door", ADDRESS)
        js = user.client.jetstream(timeout=patience)

        async def pushed() -> bytes | None:
            subscription = await js.subscribe(key, stream="KV_sources", ordered_consumer=True)
            return (await subscription.next_msg(timeout=patience)).data

        async def pulled() -> bytes | None:
            subscription = await js.pull_subscribe(key, durable="reader", stream="KV_sources")
            return (await subscription.fetch(1, timeout=patience))[0].data

        async def got() -> bytes | None:
            return (await js.get_last_msg("KV_sources", key)).data

        read = await asyncio.gather(pushed(), pulled(), got(), return_exceptions=True)
    if permitted:
        assert [*read] == [ADDRESS] * 3, read
    else:
        assert all(isinstance(one, NatsTimeout) for one in read), read


async def test_nobody_hears_the_answers_to_another(nats_server: NatsServer) -> None:
    async with entered(nats_server, "tracker") as eavesdropper, entered(nats_server, "api") as api:
        heard: list[Msg] = []

        async def hear(msg: Msg) -> None:
            heard.append(msg)

        for subject in (f"{inbox('api')}.>", "_INBOX.>", ">"):
            await eavesdropper.client.subscribe(subject, cb=hear)
        await eavesdropper.client.flush()
        assert (await api.client.jetstream().stream_info("KV_sources")).config.name == "KV_sources"
        await eavesdropper.client.flush()

    assert heard == []
