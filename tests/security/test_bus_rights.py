"""On NATS a service may do what its table says, however it asks (Holds: "NATS as each of 5 users").

`tests/infra/test_permissions.py` tries every service on every stream, bucket and kind of event. Here: who is let in at
all, requests of the server's own, and the ways around a permission that NATS has had.
"""

from __future__ import annotations

import json

import nats
import pytest
from nats.errors import Error as NatsError

from contracts.subjects import inbox
from infra.local.processes.nats import NatsServer
from services.kit.settings import ServiceSettings
from tests.infra.test_permissions import SERVICES, arrived, entered, everything_is_there
from tests.security.raw import send

__all__ = ["everything_is_there"]

pytestmark = pytest.mark.trespass

SYSTEM = (
    "$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.SERVER.PING.VARZ",
    "$SYS.REQ.ACCOUNT.PING.JSZ", "$SYS.REQ.SERVER.x.RELOAD", "$SYS.REQ.SERVER.x.KICK", "$SYS.REQ.CLAIMS.UPDATE",
    "$SYS.REQ.USER.INFO", "$SYS.ACCOUNT.$G.CONNECT", "$JS.API.INFO", "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST", "$JS.API.ACCOUNT.PURGE.$G", "$JS.API.ACCOUNT.STREAM.MOVE.$G.KV_sources",
    "$JS.API.SERVER.REMOVE", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.STREAM.RESTORE.NEW",
    "$JS.API.STREAM.CREATE.NEW", "$JS.API.STREAM.SNAPSHOT.KV_sources", "$JS.API.STREAM.TEMPLATE.CREATE.x",
    "$JS.API.CONSUMER.LIST.KV_sources", "$JS.API.CONSUMER.NAMES.KV_sources",
    "$JS.API.CONSUMER.UNPIN.KV_sources.x", "$JS.API.CONSUMER.RESET.KV_sources.x",
    "$JS.API.STREAM.PEER.REMOVE.KV_sources", "$JS.EVENT.ADVISORY.API", "$JS.M.KV_sources", "$JSC.R.x",
    "$NRG.V.x", "$SRV.PING", "$MQTT.sub.x", "$G", "_R_.x",
)  # fmt: skip
"""Requests that change or show the server, other accounts, and streams that are not there yet."""
LISTENED = (
    ">",
    "*.>",
    "$SYS.>",
    "$JS.>",
    "$KV.>",
    "metrica.>",
    "_INBOX.>",
    "_INBOX_api.>",
    "_INBOX_developer.>",
    "$G.>",
)


@pytest.mark.parametrize("service", SERVICES)
async def test_no_service_asks_the_server_for_what_is_not_its_own(nats_server: NatsServer, service: str) -> None:
    async with entered(nats_server, service) as user:
        # Replay makes the streams of runs, whose names no wildcard of NATS's can tell apart: docs/decisions/092.
        may = {"$JS.API.STREAM.CREATE.NEW"} if service == "replay" else set[str]()
        assert await user.may_publish(SYSTEM) == may


@pytest.mark.parametrize("service", SERVICES)
async def test_a_queue_hears_no_more_than_its_members_may(nats_server: NatsServer, service: str) -> None:
    """CVE of 2026-18: a subscription with a queue was asked about by its queue alone."""
    async with entered(nats_server, service) as user, entered(nats_server, "developer") as developer:
        heard = []
        own = f"{inbox(service)}.>"
        for subject in LISTENED:
            if subject != own:
                for queue in ("q", service, ">", "api", "developer"):
                    heard.append(await user.client.subscribe(subject, queue=queue))
        await user.client.flush()
        for subject in (
            "metrica.live.frames.shop.door",
            "secret",
            "$KV.sources.door",
            "_INBOX_api.x",
        ):
            if not subject.startswith(inbox(service)):
                await developer.client.publish(subject, b"secret")
        await developer.client.flush()
        await user.client.flush()
        told = [msg for one in heard async for msg in arrived(one)]

    assert told == []


@pytest.mark.parametrize(
    "said",
    [
        {}, {"user": "api"}, {"user": "api", "password": ""}, {"user": "api", "password": "wrong"},
        {"user": "developer", "password": "developer"}, {"user": "", "password": ""},
        {"user": "sys", "password": "sys"}, {"user": "$SYS", "password": "x"}, {"token": "x"},
        {"user": "API", "password": "{api}"}, {"user": "tracker", "password": "{api}"},
        {"user": "api\x00", "password": "{api}"},
    ],
    ids=str,
)  # fmt: skip
async def test_nobody_is_let_in_without_their_own_password(nats_server: NatsServer, said: dict[str, str]) -> None:
    given = {name: value.format(**nats_server.passwords) for name, value in said.items()}

    with pytest.raises((NatsError, OSError, ValueError)):
        await nats.connect(nats_server.url, allow_reconnect=False, connect_timeout=5, **given)


async def test_before_the_sign_in_nothing_is_understood_but_it(nats_server: NatsServer) -> None:
    """Messages that are sent at once, before anybody is known, reach nobody; and the greeting holds no secret."""
    connect = json.dumps({"verbose": True, "user": "api", "pass": "wrong"}).encode()
    signed = b"CONNECT " + connect + b"\r\nPUB metrica.probe 1\r\nx\r\n"
    for first in (b"PUB metrica.probe 1\r\nx\r\n", b"SUB > 1\r\n", signed):
        told = await send(nats_server.port, first + b"PING\r\n")
        assert b"-ERR" in told.raw, told.raw
        assert b"MSG" not in told.raw
        assert told.closed
        assert not [password for password in nats_server.passwords.values() if password.encode() in told.raw]


async def test_a_service_reads_no_stream_through_a_consumer_of_another(
    nats_server: NatsServer, settings: ServiceSettings
) -> None:
    """A consumer of a stream that one may read, whose filter and answers are about what one may not."""
    request = {
        "stream_name": "KV_sources",
        "config": {"deliver_subject": f"{inbox('tracker')}.x", "ack_policy": "none", "filter_subject": "$KV.sources.>"},
    }
    async with entered(nats_server, "developer") as developer, entered(nats_server, "tracker") as tracker:
        await (await developer.client.jetstream().key_value("sources")).put("door", b"rtsp://me:secret@door")
        heard = await tracker.client.subscribe(f"{inbox('tracker')}.>")
        for subject in (
            "$JS.API.CONSUMER.CREATE.DETECTIONS", "$JS.API.CONSUMER.CREATE.DETECTIONS.x",
            "$JS.API.CONSUMER.CREATE.DETECTIONS.x.$KV.sources.>", "$JS.API.CONSUMER.DURABLE.CREATE.DETECTIONS.x",
            "$JS.API.CONSUMER.CREATE.KV_sources", "$JS.API.CONSUMER.CREATE.KV_sources.x",
            "$JS.API.DIRECT.GET.KV_sources",
        ):  # fmt: skip
            await tracker.client.publish(subject, json.dumps(request).encode(), f"{inbox('tracker')}.answer")
        await tracker.client.flush()
        await developer.client.flush()
        told = [msg.data async for msg in arrived(heard)]

    assert not [data for data in told if b"secret" in data], told
