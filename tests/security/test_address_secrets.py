"""Row 7: the address of a camera is a secret. It is kept sealed whole, and shown by role, with nothing secret in it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nats.js.errors import KeyNotFoundError

from contracts.address import host_only, origin, redact
from contracts.probe import Probe, Probed
from contracts.spec import Source
from contracts.streams import SOURCES
from contracts.subjects import PROBE
from services.api.cameras.repository import ensure_camera, find_camera, list_cameras
from services.api.cameras.schemas import CameraIn
from services.api.cameras.setup import CameraSetup
from services.api.projection import Projection
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from services.kit.vault import CannotOpen, Vault, is_sealed
from tests.api.seeded import ROOT, Seed
from tests.api.served import PATIENCE, SECRET_KEY, VAULT, FakeClock, Served, replica
from tests.security.probes import answering

SECRET = "tlJwpbo6"
SHOWN = (redact, origin, host_only)

FORMATS = [
    # The ten of row 7: what makers invented to hide a password in.
    ("rtsp://10.0.0.5:554/user=admin_password=tlJwpbo6_channel=1_stream=0.sdp", "rtsp://10.0.0.5:554/***", "10.0.0.5"),
    ("rtsp://10.0.0.5/user=admin&password=tlJwpbo6&channel=1&stream=0.sdp?real_stream",
     "rtsp://10.0.0.5/***?real_stream", "10.0.0.5"),
    ("http://10.0.0.5/videostream.cgi?loginuse=admin&loginpas=tlJwpbo6",
     "http://10.0.0.5/videostream.cgi?***&***", "10.0.0.5"),
    ("http://10.0.0.5/stream?pw=tlJwpbo6", "http://10.0.0.5/stream?***", "10.0.0.5"),
    ("http://10.0.0.5/stream?p=tlJwpbo6&channel=1", "http://10.0.0.5/stream?***&channel=1", "10.0.0.5"),
    ("http://10.0.0.5/stream?sid=tlJwpbo6", "http://10.0.0.5/stream?***", "10.0.0.5"),
    ("rtsp://10.0.0.5/live;password=tlJwpbo6", "rtsp://10.0.0.5/***", "10.0.0.5"),
    ("rtsp://user:pa tlJwpbo6@10.0.0.5/live", "rtsp://10.0.0.5/live", "10.0.0.5"),
    ("rtsp://user:tlJwpbo6@10.0.0.5/live", "rtsp://10.0.0.5/live", "10.0.0.5"),
    ("rtsp://10.0.0.5/live?token=tlJwpbo6#tlJwpbo6", "rtsp://10.0.0.5/live?***", "10.0.0.5"),
    # Harmless words keep nothing that is no such word.
    ("rtsp://10.0.0.5/Streaming/Channels/101?channel=tlJwpbo6",
     "rtsp://10.0.0.5/Streaming/Channels/101?channel=***", "10.0.0.5"),
    ("rtsp://10.0.0.5/tlJwpbo6/live", "rtsp://10.0.0.5/***/live", "10.0.0.5"),
    ("rtsp://10.0.0.5/live?tlJwpbo6", "rtsp://10.0.0.5/live?***", "10.0.0.5"),
    ("rtsp://10.0.0.5/live?tlJwpbo6=1", "rtsp://10.0.0.5/live?***", "10.0.0.5"),
    ("rtsp://10.0.0.5/live_tlJwpbo6", "rtsp://10.0.0.5/***", "10.0.0.5"),
    ("rtsp://10.0.0.5/19450508", "rtsp://10.0.0.5/***", "10.0.0.5"),
    # Where it is not sure what the host is, it is not shown.
    ("rtsp://user:a@tlJwpbo6@10.0.0.5/live", "rtsp://***", "the source"),
    ("rtsp://user:a/tlJwpbo6@10.0.0.5/live", "rtsp://***", "the source"),
    ("rtsp://tlJwpbo6/a@10.0.0.5/live", "rtsp://***", "the source"),
    ("rtsp://tlJwpbo6?a@10.0.0.5/live", "rtsp://***", "the source"),
    ("rtsp://tlJwpbo6#a@10.0.0.5/live", "rtsp://***", "the source"),
    ("rtsp://tlJwpbo6/a%40camera/live", "rtsp://***", "the source"),
    ("rtsp://user:tlJwpbo6/live", "rtsp://***", "the source"),
    ("rtsp://user:19450508/live", "rtsp://***", "the source"),
    ("rtsp://user:1945/live", "rtsp://***", "the source"),
    ("rtsp://user:tlJwpbo6%4010.0.0.5/live", "rtsp://***", "the source"),
    ("rtsp://10.0.0.5:tlJwpbo6/live", "rtsp://***", "the source"),
    ("rtsp://camera;password=tlJwpbo6/live", "rtsp://***", "the source"),
    ("rtsp://camera tlJwpbo6/live", "rtsp://***", "the source"),
    ("rtsp://camera\\tlJwpbo6@10.0.0.5", "rtsp://10.0.0.5", "10.0.0.5"),
    ("rtsp://[fe80::1%tlJwpbo6]/live", "rtsp://***", "the source"),
    ("user:tlJwpbo6@10.0.0.5/live", "***", "the source"),
    ("10.0.0.5/live?password=tlJwpbo6", "***", "the source"),
    ("rtsp:user:tlJwpbo6@10.0.0.5", "***", "the source"),
    ("rtsp:///user:tlJwpbo6@10.0.0.5", "rtsp://***", "the source"),
    ("tlJwpbo6://10.0.0.5/live", "***", "the source"),
    ("rtsp://rtsp://user:tlJwpbo6@10.0.0.5/live", "rtsp://***", "the source"),
    ("tlJwpbo6", "***", "the source"),
    ("", "***", "the source"),
    # What is surely harmless is shown.
    ("rtsp://user%40home:a%2FtlJwpbo6@10.0.0.5/stream1", "rtsp://10.0.0.5/stream1", "10.0.0.5"),
    ("RTSP://User:tlJwpbo6@Camera.Local:8554/h264Preview_01_main",
     "rtsp://camera.local:8554/h264Preview_01_main", "camera.local"),
    ("rtsps://u:tlJwpbo6@[2001:db8::5]:322/av_stream/ch0", "rtsps://[2001:db8::5]:322/av_stream/ch0", "[2001:db8::5]"),
    ("rtsp://10.0.0.5/cam/realmonitor?channel=1&subtype=0",
     "rtsp://10.0.0.5/cam/realmonitor?channel=1&subtype=0", "10.0.0.5"),
    ("http://10.0.0.5:8080/axis-cgi/mjpg/video.cgi", "http://10.0.0.5:8080/axis-cgi/mjpg/video.cgi", "10.0.0.5"),
    ("rtsp://10.0.0.5:19450/live", "rtsp://10.0.0.5:***/live", "10.0.0.5"),
    ("sim://door?people=20&pace=max", "sim://door?people=20&pace=max", "sim://door"),
    ("sim://door?password=tlJwpbo6", "sim://door?***", "sim://door"),
    ("/srv/tlJwpbo6/door.mp4", "file://***", "door.mp4"),
    ("file:///srv/tlJwpbo6/door.mp4", "file://***", "door.mp4"),
    ("/dev/video0", "/dev/video0", "/dev/video0"),
    ("0", "0", "0"),
]  # fmt: skip


@pytest.mark.parametrize(("address", "to_managers", "in_logs"), FORMATS)
def test_an_address_is_shown_without_what_may_be_secret(address: str, to_managers: str, in_logs: str) -> None:
    assert redact(address) == to_managers
    assert host_only(address) == in_logs
    assert not any(SECRET in show(address) for show in SHOWN)
    assert origin(address).partition("://")[2] in {"", "***", in_logs.removeprefix("sim://")}


PLACES = (
    "rtsp://{}@10.0.0.5/live", "rtsp://{}:x@10.0.0.5/live", "rtsp://admin:{}@10.0.0.5/live", "rtsp://admin:{}/live",
    "rtsp://admin:{}@camera:8554/live", "rtsp://a:b@c:{}@10.0.0.5/live", "rtsp://10.0.0.5/{}",
    "rtsp://10.0.0.5/live/{}/main", "rtsp://10.0.0.5/live;password={}", "rtsp://10.0.0.5/user=a_password={}_channel=1", "rtsp://10.0.0.5/live?{}",
    "rtsp://10.0.0.5/live?{}=1", "rtsp://10.0.0.5/live?channel={}", "http://10.0.0.5/a.cgi?usr=a&pw={}&channel=1",
    "rtsp://10.0.0.5/live#{}", "RTSP://ADMIN:{}@[2001:db8::5]:554/", "admin:{}@10.0.0.5/live", "rtsp:admin:{}@10.0.0.5",
    "rtsp://10.0.0.5:{}/live", "rtsp:/{}@10.0.0.5", "rtsp:///{}@10.0.0.5/live", "rtsp://rtsp://a:{}@10.0.0.5/live",
    " rtsp://admin:{}@10.0.0.5/live ", "sim://door?people={}", "sim://door/{}", "https://u@h/{}?x@y", "rtsp://h/a%40b/{}",
    "file:///srv/{}/door.mp4", "{}",
)  # fmt: skip
"""Where somebody may have put a secret."""

# A secret of these alone is none that anybody could tell.
WORDS = """
    stream live main sub ch channel cam camera video media h264 h265 hevc mjpeg mjpg mpeg mp4 onvif profile axis cgi bin
    av preview subtype type real monitor unicast multicast tcp udp primary secondary default low high sdp amp isapi http
    picture snap shot image jpg jpeg track play web codec m3u8 door people pace max fps seed width height rtsp srv
"""


def is_plain(secret: str) -> bool:
    """Tell whether it is made of words of streams and figures alone, or stands in the places around it."""
    rest = secret.lower()
    for word in sorted(WORDS.split(), key=len, reverse=True):
        rest = rest.replace(word, "")
    return not rest.strip("0123456789./:;?&=_-@#%* ") or any(
        secret.lower() in place for place in (*PLACES, "the source")
    )


@given(st.text(min_size=4, max_size=20), st.sampled_from(PLACES))
@example("pa/ss@word", "rtsp://admin:{}@10.0.0.5/live")
@example("pa?ss", "rtsp://admin:{}/live")
@example("p%40ss", "rtsp://admin:{}/live")
@example("12345", "rtsp://10.0.0.5:{}/live")
@example("avstream" * 4 + "!", "rtsp://10.0.0.5/{}")
def test_no_secret_is_shown_wherever_it_stands(secret: str, place: str) -> None:
    if is_plain(secret):
        return
    for show in SHOWN:
        assert secret not in show(place.format(secret))
        assert secret.lower() not in show(place.format(secret))


@given(st.text(alphabet="abcXYZ0189:/@?#&=%;. \\[]", min_size=1, max_size=60))
def test_any_text_has_forms_that_can_be_shown(address: str) -> None:
    for text in (address, f"rtsp://{address}"):
        assert all(isinstance(show(text), str) for show in SHOWN)
        assert host_only(text) == host_only(f" {text} ")


async def test_why_a_source_does_not_open_is_told_without_its_address(
    settings: ServiceSettings, ingest_bus: Bus, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a camera's state tells it to everybody who sees the camera; a port of this machine refuses them all."""
    addresses = [
        *(address.replace("10.0.0.5:554", "10.0.0.5").replace("10.0.0.5", "127.0.0.1:9") for address, _, _ in FORMATS),
        *(
            f"sim://{SECRET}/x",
            f"sim://door?people={SECRET}",
            f"sim://door?{SECRET}=1",
            f"{SECRET}@x.mp4",
            f"/{SECRET}/a.mp4",
        ),
    ]
    async with answering(settings, ingest_bus):
        for address in addresses:
            if address in {"0", "/dev/video0"}:
                continue  # a camera of the machine that runs the test
            sent = Probe(address=address, trusted=True, organization="acme").model_dump_json().encode()
            reply = await ingest_bus.client.request(PROBE, sent, timeout=PATIENCE)
            message = Probed.model_validate_json(reply.data).message
            assert SECRET not in message
            assert message or address == "sim://door?people=20&pace=max"
    assert SECRET not in capsys.readouterr().out


def test_long_addresses_take_no_time() -> None:
    for text in ("avstream" * 200 + "!", "1/" * 900, "a@" * 900, "[" * 1900, "channel=1&" * 190):
        redact(f"rtsp://10.0.0.5/{text}")
        redact(f"rtsp://{text}")


# The API.

ADDRESS = f"rtsp://me:{SECRET}@10.0.0.5:554/live/{SECRET}?channel=1&{SECRET}={SECRET}"
Ask = Callable[..., Any]


@pytest.fixture
def ask(client: httpx.AsyncClient, seed: Seed) -> Ask:
    """Ask as somebody."""

    async def ask(who: str, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        key = {"Authorization": f"Bearer {seed.keys[who]}"} if who in seed.keys else seed.headers(who)
        return await client.request(method, f"/v1{path}", json=body, headers=key | headers)

    return ask


async def trusts(served: Served, camera: str) -> bool:
    found = await served.pool.fetchval("SELECT trusted FROM camera WHERE id = $1", camera)
    assert isinstance(found, bool)
    return found


async def in_bucket(served: Served, camera: str) -> Source:
    """The settings that ingest reads of a camera, once the API has projected what the table holds."""
    bucket = await served.bus.js.key_value(SOURCES.name)
    async with asyncio.timeout(20):
        while True:
            # It may be sealed just now.
            kept = await served.pool.fetchrow("SELECT address, trusted FROM camera WHERE id = $1", camera)
            assert kept is not None
            with suppress(KeyNotFoundError):
                found = Source.model_validate_json((await bucket.get(camera)).value or b"")
                if (found.address, found.trusted) == (kept["address"], kept["trusted"]):
                    return found
            await asyncio.sleep(0.02)


async def test_each_role_sees_what_it_may_everywhere(ask: Ask, guarded: Served) -> None:
    made = await ask(
        "manager@acme", "POST", "/stores/shop/cameras", {"id": "back", "address": ADDRESS}, **{"Idempotency-Key": "k"}
    )
    again = await ask(
        "manager@acme", "POST", "/stores/shop/cameras", {"id": "back", "address": ADDRESS}, **{"Idempotency-Key": "k"}
    )
    assert made.status_code == again.status_code == 201
    answers = {"made": made, "again": again}
    lines = {"lines": [{"id": "a", "x1": 0.1, "y1": 0.5, "x2": 0.9, "y2": 0.5}]}
    answers["patched"] = await ask("manager@acme", "PATCH", "/cameras/back", {"name": "Back"})
    answers["preview"] = await ask("manager@acme", "POST", "/cameras/back/lines/preview", lines)
    answers["drawn"] = await ask("manager@acme", "PUT", "/cameras/back/lines", lines)
    managers = "rtsp://10.0.0.5:554/live/***?channel=1&***"
    assert {name: answer.json()["address"] for name, answer in answers.items()} == dict.fromkeys(answers, managers)

    tags = set()
    for who, seen in (
        *((who, managers) for who in ("manager@acme", "admin@acme", ROOT)),
        *((who, "rtsp://10.0.0.5") for who in ("viewer@acme", "acme-reader")),
    ):
        one, listed = await ask(who, "GET", "/cameras/back"), await ask(who, "GET", "/stores/shop/cameras")
        assert one.json()["address"] == seen
        assert [camera["address"] for camera in listed.json()["items"] if camera["id"] == "back"] == [seen]
        tags.add(one.headers["etag"])
        answers[who], answers[f"{who} lists"] = one, listed
        answers[f"{who} stores"] = await ask(who, "GET", "/stores")
    answers["changes"] = await ask("admin@acme", "GET", "/organizations/acme/changes")

    assert len(tags) == 1, "an ETag is the same for all"
    assert not [name for name, answer in answers.items() if SECRET in answer.text]
    assert not [name for name, answer in answers.items() if SECRET in str(answer.headers)]


async def test_the_etag_is_another_with_every_address(ask: Ask, guarded: Served) -> None:
    tags = []
    for password in ("one", "two", "two"):
        body = {"address": f"rtsp://me:{password}@10.0.0.5/live"}
        tags.append((await ask("manager@acme", "PATCH", "/cameras/door", body)).headers["etag"])

    assert tags[0] != tags[1] == tags[2]
    late = await ask("admin@acme", "PATCH", "/cameras/door", {"name": "x"}, **{"If-Match": tags[0]})
    assert late.status_code == 412


@pytest.mark.parametrize("address", [ADDRESS, "rtsp://10.0.0.5/live", "sim://door?people=5"])
async def test_whatever_it_is_it_is_kept_sealed(ask: Ask, guarded: Served, address: str) -> None:
    await ask("manager@acme", "PATCH", "/cameras/door", {"address": address}, **{"Idempotency-Key": "k"})

    kept = await guarded.pool.fetchval("SELECT address FROM camera WHERE id = 'door'")
    assert is_sealed(kept)
    assert VAULT.open(kept) == address
    assert (await in_bucket(guarded, "door")).address == kept
    assert SECRET not in str(await guarded.pool.fetch("SELECT * FROM audit_entry"))


async def test_what_is_remembered_of_a_request_cannot_be_guessed_at(ask: Ask, guarded: Served) -> None:
    body = {"id": "back", "address": ADDRESS}
    await ask("manager@acme", "POST", "/stores/shop/cameras", body, **{"Idempotency-Key": "k"})

    row = await guarded.pool.fetchrow("SELECT fingerprint, sealed FROM remembered_answer WHERE key = 'k'")
    assert row is not None
    assert is_sealed(row["sealed"])
    assert len(row["fingerprint"]) == 64
    said = CameraIn.model_validate(body).model_dump_json()
    guesses = (said, f"POST /v1/stores/shop/cameras {said}")
    assert row["fingerprint"] not in [hashlib.sha256(guess.encode()).hexdigest() for guess in guesses]


async def test_an_address_that_was_shown_is_not_taken_for_one(ask: Ask) -> None:
    answer = await ask("manager@acme", "PATCH", "/cameras/door", {"address": "rtsp://10.0.0.5/***"})

    assert answer.status_code == 422
    assert answer.json()["invalid"][0]["parameter"] == "address"


async def test_addresses_that_lie_in_the_clear_are_sealed_at_the_start(guarded: Served, api_database_url: str) -> None:
    await in_bucket(guarded, "door")
    await guarded.pool.execute("UPDATE camera SET address = $1 WHERE id = 'door'", ADDRESS)
    before = await guarded.pool.fetchrow("SELECT revision, trusted FROM camera WHERE id = 'door'")
    logged = await guarded.pool.fetchval("SELECT count(*) FROM audit_entry")
    parts = guarded.parts

    def replica() -> Projection:
        sessions = parts.sessions, parts.writable
        return Projection(parts.bus, *sessions, api_database_url, VAULT, parts.statuses, parts.clock, lambda: None)

    await asyncio.gather(*(replica().reconcile() for _ in range(3)))

    kept = await guarded.pool.fetchval("SELECT address FROM camera WHERE id = 'door'")
    assert VAULT.open(kept) == ADDRESS
    assert is_sealed(kept)
    assert (await in_bucket(guarded, "door")).address == kept
    assert await guarded.pool.fetchrow("SELECT revision, trusted FROM camera WHERE id = 'door'") == before
    assert await guarded.pool.fetchval("SELECT count(*) FROM audit_entry") == logged
    await replica().reconcile()
    assert await guarded.pool.fetchval("SELECT address FROM camera WHERE id = 'door'") == kept


def setup(address: str) -> CameraSetup:
    return CameraSetup(camera="door", store="shop", address=address)


@pytest.mark.parametrize("address", ["rtsp://10.0.0.5/live", "http://camera", "RTSP://camera", "user:secret@camera/x"])
async def test_without_a_secret_key_no_address_in_the_network_is_kept(api_database_url: str, address: str) -> None:
    with pytest.raises(CannotOpen, match="set METRICA_SECRET_KEY"):
        await ensure_camera(api_database_url, setup(address))


@pytest.mark.parametrize("address", ["sim://door", "/films/door.mp4", "0", "/dev/video0"])
async def test_without_a_secret_key_what_is_of_the_machine_is_kept(api_database_url: str, address: str) -> None:
    await ensure_camera(api_database_url, setup(address))

    assert (await find_camera(api_database_url, "door")).address == address


async def test_an_address_that_cannot_be_opened_changes_nothing_else(api_database_url: str) -> None:
    await ensure_camera(api_database_url, setup("/films/door.mp4"), VAULT)
    (found,) = await list_cameras(api_database_url)
    assert (found.policy, is_sealed(found.address)) == ("every", True)
    assert SECRET_KEY not in repr(found)

    changed = found.model_copy(update={"name": "Front"})
    await ensure_camera(api_database_url, changed, Vault(None), address_is_said=False)
    (after,) = await list_cameras(api_database_url, VAULT)
    assert (after.address, after.policy, after.name) == ("/films/door.mp4", "every", "Front")


# Who chose an address decides where it may lead.


async def test_an_address_is_trusted_where_a_superadmin_or_the_operator_wrote_it(ask: Ask, guarded: Served) -> None:
    async def after(who: str, **change: object) -> bool:
        assert (await ask(who, "PATCH", "/cameras/door", change)).status_code == 200
        assert (await in_bucket(guarded, "door")).trusted == await trusts(guarded, "door")
        return await trusts(guarded, "door")

    there = {"address": "rtsp://10.0.0.5/live"}
    assert not await after("manager@acme", **there)
    assert not await after(ROOT, name="Front"), "who leaves the address alone has not chosen it"
    assert await after(ROOT, **there)
    assert await after("manager@acme", name="Back"), "nor does it end by that"
    assert not await after("manager@acme", **there), "who says the same again has chosen it"
    assert not await after("admin@acme", **there)

    operator = setup("rtsp://127.0.0.1/live").model_copy(update={"organization": "acme"})
    await ensure_camera(guarded.database_url, operator, VAULT)
    assert await trusts(guarded, "door")
    await ensure_camera(guarded.database_url, operator, VAULT, address_is_said=False)
    assert await trusts(guarded, "door")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::7f00:1]",
        "localhost", "LOCALHOST.", "camera.localhost", "0.0.0.0", "0", "[::]", "169.254.169.254", "[fe80::1]",
        "224.0.0.1", "255.255.255.255", "[ff02::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "１２７.0.0.1",
        "10.0.0.5@127.0.0.1", "me:secret@127.0.0.1:554",
    ],
)  # fmt: skip
async def test_this_machine_takes_a_superadmin_in_any_notation(ask: Ask, host: str) -> None:
    body = {"address": f"rtsp://{host}/live"}
    for who in ("manager@acme", "admin@acme"):
        for method, path in (
            ("PATCH", "/cameras/door"),
            ("POST", "/stores/shop/cameras"),
            ("POST", "/stores/shop/cameras/test"),
        ):
            answer = await ask(who, method, path, body)
            assert answer.status_code == 422, (who, path)
            assert answer.json()["invalid"][0]["parameter"] == "address"
    assert (await ask(ROOT, "PATCH", "/cameras/door", body)).status_code == 200


async def test_a_network_that_the_operator_opened_is_not_refused_to_managers(
    settings: ServiceSettings, api_database_url: str, clock: FakeClock, seed: Seed
) -> None:
    """Row 1: METRICA_SOURCE_NETWORKS=+127.0.0.1 lets a tenant's camera stand on this machine; nothing else opens."""
    async with replica(settings, api_database_url, clock, source_networks="+127.0.0.1") as client:
        manager = seed.headers("manager@acme")
        answers = {
            address: (
                await client.post("/v1/stores/shop/cameras", json={"name": "Door", "address": address}, headers=manager)
            ).status_code
            for address in (
                "rtsp://127.0.0.1:8554/cam",
                "rtsp://2130706433/cam",
                "rtsp://127.0.0.2/cam",
                "rtsp://[::1]/x",
            )
        }

    assert list(answers.values()) == [201, 201, 422, 422]
