"""The configuration by the API: organizations, stores, cameras, lines, members, keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts.spec import CameraSpec
from contracts.streams import CAMERAS
from services.ingest.probing.probe import Prober
from services.ingest.settings import IngestSettings
from services.kit.nats.kv_watch import watch
from services.kit.settings import ServiceSettings
from services.kit.vault import Vault
from tests.api.seeded import Seed
from tests.api.served import SECRET_KEY, VAULT, Served

Asks = Callable[..., "Asker"]
LINE = {"id": "back", "x1": 0.1, "y1": 0.5, "x2": 0.9, "y2": 0.5, "in_side": "left", "in_name": "shop"}
ZONE = {"id": "till", "polygon": [[0.1, 0.5], [0.4, 0.5], [0.4, 1.0]]}


class Asker:
    """Somebody who asks, with their headers."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self._client, self._headers = client, headers

    async def __call__(
        self, method: str, path: str, body: object = None, *, status: int = 200, **headers: str
    ) -> httpx.Response:
        sent = {**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        answer = await self._client.request(method, f"/v1{path}", json=body, headers=sent, timeout=15)
        assert answer.status_code == status, answer.text
        return answer


@pytest.fixture
def admin(client: httpx.AsyncClient, seed: Seed) -> Asker:
    return Asker(client, seed.headers("admin@acme"))


@pytest.fixture
def manager(client: httpx.AsyncClient, seed: Seed) -> Asker:
    return Asker(client, seed.headers("manager@acme"))


@pytest.fixture
def root(client: httpx.AsyncClient, superadmin_headers: dict[str, str]) -> Asker:
    return Asker(client, superadmin_headers)


# What somebody else has changed meanwhile is not overwritten.


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("/organizations/acme", {"months_kept": 12}),
        ("/stores/shop", {"capacity": 40}),
        ("/cameras/door", {"name": "Front"}),
    ],
)
async def test_a_change_of_what_has_changed_since_is_refused(admin: Asker, path: str, change: dict[str, Any]) -> None:
    read = (await admin("GET", path)).headers["etag"]
    changed = (await admin("PATCH", path, change, if_match=read)).headers["etag"]

    assert changed != read
    answer = await admin("PATCH", path, {"name": "Another"}, if_match=read, status=412)
    assert "read it again" in answer.json()["detail"]
    await admin("DELETE", path, if_match=read, status=412 if path != "/organizations/acme" else 403)
    assert (await admin("GET", path)).headers["etag"] == changed
    await admin("PATCH", path, {"name": "Another"}, if_match=f'"else", W/{changed}')
    await admin("PATCH", path, {"name": "A third"}, if_match="*")


async def test_what_is_not_said_stays(admin: Asker) -> None:
    hours = {"monday": [["09:00", "12:30"], ["14:00", "19:00"]]}
    await admin("PATCH", "/stores/shop", {"opening_hours": hours, "capacity": 40})
    store = (await admin("PATCH", "/stores/shop", {"name": "The Shop"})).json()
    assert (store["name"], store["capacity"], store["opening_hours"]["monday"]) == ("The Shop", 40, hours["monday"])

    store = (await admin("PATCH", "/stores/shop", {"capacity": None, "opening_hours": {}})).json()
    assert (store["capacity"], store["opening_hours"]["monday"]) == (None, [])


# Nothing is made twice.


async def test_a_post_that_comes_again_makes_nothing_twice(admin: Asker, guarded: Served) -> None:
    key, wanted = str(uuid4()), {"name": "till", "role": "viewer"}
    first = await admin("POST", "/organizations/acme/keys", wanted, status=201, idempotency_key=key)
    again = await admin("POST", "/organizations/acme/keys", wanted, status=201, idempotency_key=key)

    assert first.json() == again.json(), "the key itself is told again, too"
    assert again.headers["idempotency-replayed"] == "true"
    assert await guarded.pool.fetchval("SELECT count(*) FROM api_key WHERE name = 'till'") == 1
    assert first.json()["key"] not in await guarded.pool.fetchval("SELECT sealed FROM remembered_answer")


async def test_posts_that_come_together_make_one(admin: Asker, guarded: Served) -> None:
    wanted = {"organization": "acme", "name": "New", "time_zone": "UTC"}
    posts = [admin("POST", "/stores", wanted, status=201, idempotency_key="k") for _ in range(4)]

    assert {answer.json()["id"] for answer in await asyncio.gather(*posts)} == {"new"}


async def test_a_key_that_came_with_another_request_is_refused(admin: Asker, root: Asker) -> None:
    wanted = {"organization": "acme", "name": "New", "time_zone": "UTC"}
    await admin("POST", "/stores", wanted, status=201, idempotency_key="k")

    await admin("POST", "/stores", {**wanted, "name": "Old"}, status=422, idempotency_key="k")
    await root("POST", "/stores", {**wanted, "name": "Old"}, status=201, idempotency_key="k")


async def test_what_was_sealed_with_another_secret_key_is_not_made_again(admin: Asker, guarded: Served) -> None:
    wanted = {"organization": "acme", "name": "New", "time_zone": "UTC"}
    await admin("POST", "/stores", wanted, status=201, idempotency_key="k")
    await guarded.pool.execute("UPDATE remembered_answer SET sealed = $1", Vault("the secret key of before").seal("{}"))

    answer = await admin("POST", "/stores", wanted, status=409, idempotency_key="k")

    assert "METRICA_SECRET_KEY" in answer.json()["detail"]
    assert await guarded.pool.fetchval("SELECT count(*) FROM store WHERE name = 'New'") == 1


async def test_what_was_refused_is_not_remembered(admin: Asker) -> None:
    wanted = {"id": "shop", "organization": "acme", "name": "New", "time_zone": "UTC"}
    await admin("POST", "/stores", wanted, status=409, idempotency_key="k")
    await admin("POST", "/stores", {**wanted, "id": "new"}, status=201, idempotency_key="k")


# Pages.


async def test_pages_hold_everything_once_whatever_is_added_meanwhile(root: Asker) -> None:
    names = [f"org-{n}" for n in range(5)]
    for name in names:
        await root("POST", "/organizations", {"name": name}, status=201)
    seen: list[str] = []
    page = (await root("GET", "/organizations?limit=2")).json()
    while True:
        seen += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        await root("POST", "/organizations", {"name": f"a-{len(seen)}"}, status=201)  # before all that is to come
        page = (await root("GET", f"/organizations?limit=2&cursor={page['next']}")).json()

    assert seen == ["acme", *names, "other"]


@pytest.mark.parametrize("cursor", ["!", "AAAA", "_w", "bm90LWEtbnVtYmVy", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5"])
async def test_what_is_no_cursor_is_refused_where_it_stands(admin: Asker, cursor: str) -> None:
    answer = (await admin("GET", f"/organizations/acme/changes?cursor={cursor}", status=422)).json()

    assert answer["invalid"][0]["parameter"] == "cursor"


# Who changed what.


async def test_changes_are_in_the_log_with_who_made_them(admin: Asker, manager: Asker) -> None:
    await manager("PATCH", "/cameras/door", {"name": "Front"})
    await admin("POST", "/organizations/acme/keys", {"name": "till", "role": "viewer"}, status=201)
    await admin("PATCH", "/stores/shop", {"capacity": 40})

    log = (await admin("GET", "/organizations/acme/changes?limit=3")).json()["items"]
    assert [(one["who"], one["action"], one["kind"]) for one in log] == [
        ("admin@acme", "changed", "store"),
        ("admin@acme", "created", "key"),
        ("manager@acme", "changed", "camera"),
    ]
    assert log[0]["before"] == {"capacity": None}
    assert log[1]["after"]["hash"] == "***"


# Cameras and lines.


async def projected(served: Served, camera: str) -> CameraSpec:
    """A camera as the services see it, once that is what is set."""
    revision = await served.pool.fetchval("SELECT revision FROM camera WHERE id = $1", camera)
    async for entry in watch(served.bus, CAMERAS, f"{camera}.current"):
        found = CameraSpec.model_validate_json(entry.value or b"")
        if found.revision == revision:
            return found
    raise AssertionError


async def test_a_camera_is_made_drawn_paused_and_removed(manager: Asker, guarded: Served) -> None:
    wanted = {"name": "Back door", "address": "rtsp://10.0.0.5/stream", "lines": [LINE]}
    made = (await manager("POST", "/stores/shop/cameras", wanted, status=201)).json()
    assert (made["id"], made["policy"], made["revision"], made["lines"][0]["in_side"]) == (
        "back-door",
        "latest",
        1,
        "left",
    )
    assert (await projected(guarded, "back-door")).lines[0].id == "back"

    await manager(
        "PUT", "/cameras/back-door/lines", {"lines": [{**LINE, "y1": 0.6}, {**LINE, "id": "lift", "y1": 0.2}]}
    )
    await manager("PATCH", "/cameras/back-door", {"paused": True})
    shown = await projected(guarded, "back-door")
    assert (shown.paused, [(line.id, line.revision) for line in shown.lines]) == (True, [("back", 2), ("lift", 2)])

    listed = (await manager("GET", "/stores/shop/cameras")).json()["items"]
    assert [one["id"] for one in listed] == ["back-door", "door"]
    await manager("DELETE", "/cameras/back-door", status=204)
    await manager("GET", "/cameras/back-door", status=404)


async def test_frames_are_kept_where_an_admin_says_so(manager: Asker, admin: Asker, guarded: Served) -> None:
    await manager("PATCH", "/cameras/door", {"record": True}, status=403)
    await manager("POST", "/stores/shop/cameras", {"address": "sim://door", "record": False}, status=403)
    assert not (await manager("GET", "/cameras/door")).json()["record"]

    assert (await admin("PATCH", "/cameras/door", {"record": True})).json()["record"]
    await manager("PATCH", "/cameras/door", {"name": "Front"})
    assert (await projected(guarded, "door")).record, "and a change of something else leaves it"


async def test_lines_are_tried_out_before_they_count(manager: Asker, guarded: Served) -> None:
    before = await manager("GET", "/cameras/door")

    shown = (await manager("POST", "/cameras/door/lines/preview", {"lines": [LINE]})).json()
    refused = await manager("POST", "/cameras/door/lines/preview", {"lines": [{**LINE, "x1": 7}]}, status=422)

    assert ([line["id"] for line in shown["lines"]], shown["revision"]) == (["back"], before.json()["revision"] + 1)
    assert "lies outside the picture" in refused.json()["detail"]
    after = await manager("GET", "/cameras/door")
    assert (after.json(), after.headers["etag"]) == (before.json(), before.headers["etag"])
    assert (
        await guarded.pool.fetchval("SELECT count(*) FROM audit_entry WHERE kind = 'line' AND key = 'door/back'") == 0
    )


async def test_zones_are_named_shown_and_written_down_and_nothing_is_counted_otherwise(
    manager: Asker, guarded: Served
) -> None:
    await manager("PUT", "/cameras/door/lines", {"lines": [LINE]})
    before = await manager("GET", "/cameras/door")
    corners = [[0.1, 0.5], [0.4, 0.5], [0.4, 1.0], [0.1, 1.0]]
    wanted = {"zones": [{"id": "till", "name": "Till", "polygon": corners}, {"id": "shelf", "polygon": corners[:3]}]}

    named = await manager("PUT", "/cameras/door/zones", wanted)
    assert named.json() == before.json() | {
        "zones": [
            {"id": "shelf", "name": "", "polygon": corners[:3]},
            {"id": "till", "name": "Till", "polygon": corners},
        ]
    }, "the revision is the same: the services do not see it"
    assert named.headers["etag"] != before.headers["etag"]
    stores = (await manager("GET", "/stores")).json()
    assert [zone["id"] for zone in stores[0]["cameras"][0]["zones"]] == ["shelf", "till"]

    await manager("PATCH", "/cameras/door", {"name": "Front"})
    assert len((await manager("GET", "/cameras/door")).json()["zones"]) == 2, "a change of something else leaves them"
    await manager("PUT", "/cameras/door/zones", {"zones": [{**wanted["zones"][1], "name": "Shelf"}]})
    log = [
        tuple(row)
        for row in await guarded.pool.fetch("SELECT action, key FROM audit_entry WHERE kind = 'zone' ORDER BY id")
    ]
    assert sorted(log[:2]) == [("created", "door/shelf"), ("created", "door/till")]
    assert sorted(log[2:]) == [("changed", "door/shelf"), ("removed", "door/till")]

    await manager("DELETE", "/cameras/door", status=204)
    assert await guarded.pool.fetchval("SELECT count(*) FROM zone") == 0


async def test_a_password_in_an_address_is_sealed_and_never_shown(manager: Asker, guarded: Served) -> None:
    wanted = {"id": "back", "address": "rtsp://me:secret@10.0.0.5/stream?token=hidden"}
    answers = [await manager("POST", "/stores/shop/cameras", wanted, status=201, idempotency_key="k")]
    answers.append(await manager("GET", "/cameras/back"))
    answers.append(await manager("PATCH", "/cameras/back", {"name": "Back"}))
    answers.append(await manager("GET", "/stores/shop/cameras"))

    for answer in answers:
        assert "secret" not in answer.text
        assert "hidden" not in answer.text
    assert answers[0].json()["address"] == "rtsp://10.0.0.5/stream?***"
    stored = await guarded.pool.fetchval("SELECT address FROM camera WHERE id = 'back'")
    assert "secret" not in stored
    assert VAULT.open(stored) == wanted["address"], "and a change of the name leaves it"


@pytest.mark.parametrize(
    ("method", "path", "body", "where", "says"),
    [
        ("PUT", "/cameras/door/lines", {"lines": [{**LINE, "x1": 7}]}, "lines.0", "(7, 0.5) lies outside the picture"),
        ("PUT", "/cameras/door/lines", {"lines": [LINE, LINE]}, None, "two of its lines have the same id"),
        ("PUT", "/cameras/door/lines", {"lines": [{**LINE, "x1": "left"}]}, "lines.0.x1", "valid number"),
        ("PUT", "/cameras/door/lines", {"lines": [{**LINE, "in_side": "up"}]}, "lines.0.in_side", "'left' or 'right'"),
        ("PUT", "/cameras/door/zones", {"zones": [{"id": "a", "polygon": [[0, 0], [1, 1]]}]}, "zones.0", "2 corners"),
        ("PUT", "/cameras/door/zones", {"zones": [ZONE, ZONE]}, None, "two of its zones have the same id"),
        ("PUT", "/cameras/door/zones", {"zones": [{"id": "a b", "polygon": []}]}, "zones.0.id", "pattern"),
        ("PATCH", "/cameras/door", {"capture": {"fps": 0}}, "capture.fps", "greater than 0"),
        ("PATCH", "/cameras/door", {"detection": {"regions": [[[0, 0]]]}}, "detection", "it has 1 corner"),
        ("PATCH", "/cameras/door", {"address": "/etc/passwd"}, "address", "take a superadmin"),
        ("PATCH", "/cameras/door", {"address": "0"}, "address", "take a superadmin"),
        ("PATCH", "/cameras/door", {"address": "file:///etc/passwd"}, "address", "take a superadmin"),
        ("PATCH", "/cameras/door", {"colour": "red"}, "colour", "not permitted"),
        ("PATCH", "/cameras/door", {"name": "a\x00b"}, "", "U+0000"),
        ("PATCH", "/stores/shop", {"time_zone": "Mars/Olympus"}, "time_zone", "write it as Europe/Paris"),
        ("PATCH", "/stores/shop", {"opening_hours": {"monday": [["9", "10:00"]]}}, "opening_hours.monday", "09:30"),
        ("PATCH", "/stores/shop", {"opening_hours": {"friday": [["18:00", "02:00"]]}}, "opening_hours.friday", "next"),
        ("PATCH", "/stores/shop", {"capacity": 0}, "capacity", "greater than or equal to 1"),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_said_where_it_stands(
    manager: Asker, method: str, path: str, body: object, where: str | None, says: str
) -> None:
    answer = (await manager(method, path, body, status=422)).json()

    assert says in answer["detail"]
    if where is not None:
        assert where in [one["parameter"] for one in answer["invalid"]]


async def test_what_has_something_in_it_is_not_removed(admin: Asker, root: Asker) -> None:
    assert "has cameras" in (await admin("DELETE", "/stores/shop", status=409)).json()["detail"]
    assert "has stores" in (await root("DELETE", "/organizations/acme", status=409)).json()["detail"]
    for path in ("/cameras/door", "/stores/shop"):
        await admin("DELETE", path, status=204)
    await root("DELETE", "/organizations/acme", status=204)


async def test_an_id_is_taken_by_whoever_has_it(admin: Asker) -> None:
    wanted = {"organization": "acme", "name": "Mall", "time_zone": "UTC"}
    assert "taken" in (await admin("POST", "/stores", {**wanted, "id": "mall"}, status=409)).json()["detail"]
    assert (await admin("POST", "/stores", wanted, status=201)).json()["id"].startswith("mall-")


async def test_nobody_puts_a_store_into_another_organization(admin: Asker) -> None:
    await admin("POST", "/stores", {"organization": "other", "name": "New", "time_zone": "UTC"}, status=404)
    key = {"name": "edge", "role": "worker", "store": "mall"}
    await admin("POST", "/organizations/acme/keys", key, status=404)
    await admin("POST", "/organizations/acme/keys", {**key, "store": None}, status=422)


# Trying out.


@pytest.fixture
async def ingest(settings: ServiceSettings, guarded: Served) -> AsyncIterator[None]:
    """An ingest that answers."""
    said = settings.model_dump() | {"secret_key": SECRET_KEY, "open_timeout": 2.0, "read_timeout": 2.0}
    probing = asyncio.create_task(Prober(guarded.bus, IngestSettings.model_validate(said)).run())
    await asyncio.sleep(0)
    await guarded.bus.client.flush()
    yield
    probing.cancel()
    await asyncio.gather(probing, return_exceptions=True)


@pytest.mark.usefixtures("ingest")
async def test_trying_out_shows_one_frame_or_says_why_not(manager: Asker, root: Asker) -> None:
    good = (await manager("POST", "/cameras/door/test")).json()
    assert (good["works"], good["width"] > 0, good["picture"][:4]) == (True, True, "/9j/")

    for who, address, says in (
        (root, "rtsp://me:secret@127.0.0.1:9/stream", "connection refused at 127.0.0.1"),
        (manager, "sim://window", "there is no such simulation"),
    ):
        answer = await who("POST", "/stores/shop/cameras/test", {"address": address})
        assert answer.json()["works"] is False
        assert says in answer.json()["message"]
        assert "secret" not in answer.text


# Members, users and keys.


async def test_a_members_role_is_in_force_at_once(admin: Asker, client: httpx.AsyncClient, seed: Seed) -> None:
    member = f"/organizations/acme/members/{seed.user('manager@acme')}"
    manager = Asker(client, seed.headers("manager@acme"))
    await manager("PATCH", "/stores/shop", {"capacity": 3})

    await admin("PATCH", member, {"role": "viewer"})
    await manager("PATCH", "/stores/shop", {"capacity": 4}, status=403)
    await admin("DELETE", member, status=204)
    await manager("GET", "/stores/shop", status=404)


async def test_an_organization_keeps_an_admin(admin: Asker, root: Asker, seed: Seed) -> None:
    me = f"/organizations/acme/members/{seed.user('admin@acme')}"
    assert "no admin left" in (await admin("PATCH", me, {"role": "viewer"}, status=409)).json()["detail"]
    await admin("DELETE", me, status=409)
    manager = f"/organizations/acme/members/{seed.user('manager@acme')}"
    await admin("PATCH", manager, {"role": "admin"})
    await admin("DELETE", me, status=204)


async def test_a_superadmin_disables_a_user_and_not_themselves(
    root: Asker, client: httpx.AsyncClient, seed: Seed
) -> None:
    viewer = Asker(client, seed.headers("viewer@acme"))
    await viewer("GET", "/stores/shop")
    await root("PATCH", f"/users/{seed.user('viewer@acme')}", {"disabled": True})
    await viewer("GET", "/stores/shop", status=401)

    for change in ({"disabled": True}, {"superadmin": False}):
        await root("PATCH", f"/users/{seed.user('root@metrica')}", change, status=409)


async def test_a_key_reaches_what_it_is_for_until_it_is_revoked(
    admin: Asker, client: httpx.AsyncClient, tunis_seed: str
) -> None:
    wanted = {"name": "till", "role": "manager", "store": tunis_seed}
    made = (await admin("POST", "/organizations/acme/keys", wanted, status=201)).json()
    key = Asker(client, {"Authorization": f"Bearer {made['key']}"})
    await key("PATCH", f"/stores/{tunis_seed}", {"capacity": 3})
    await key("GET", "/stores/shop", status=404)
    await key("GET", "/cameras/door", status=404)
    assert [one["id"] for one in (await key("GET", "/stores")).json()] == [tunis_seed]
    assert (await key("GET", "/organizations")).json()["items"] == []
    assert (await key("GET", f"/stores/{tunis_seed}/counts")).json()["time_zone"] == "Africa/Tunis"

    listed = (await admin("GET", "/organizations/acme/keys")).json()["items"]
    (shown,) = [one for one in listed if one["id"] == made["id"]]
    assert shown["last_used_at"] is not None
    assert "key" not in shown
    for _ in range(2):
        await admin("DELETE", f"/organizations/acme/keys/{made['id']}", status=204)
    await key("GET", f"/stores/{tunis_seed}", status=401)
