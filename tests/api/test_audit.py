"""The log of changes."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

from tests.api.served import Served


async def entries(pool: asyncpg.Pool) -> list[dict[str, Any]]:
    rows = await pool.fetch("SELECT * FROM audit_entry ORDER BY id")
    return [
        dict(row) | {name: json.loads(row[name]) if row[name] else None for name in ("before", "after")} for row in rows
    ]


async def test_what_is_made_changed_and_removed_is_written_down(served: Served) -> None:
    await served.set_up()
    made = await entries(served.pool)
    await served.set_up(name="Front", paused=True)
    changed = (await entries(served.pool))[len(made) :]

    assert {(one["action"], one["kind"], one["key"]) for one in made} == {
        ("created", "organization", "default"),
        ("created", "store", "shop"),
        ("created", "camera", "door"),
        ("created", "line", "door/entrance"),
    }
    assert {one["organization"] for one in made} == {"default"}
    (one,) = changed
    assert (one["who"], one["action"], one["key"]) == ("command line", "changed", "door")
    assert one["before"] == {"name": "", "paused": False, "revision": 1}
    assert one["after"] == {"name": "Front", "paused": True, "revision": 2}


async def test_a_change_of_nothing_is_none(served: Served) -> None:
    await served.set_up()
    before = len(await entries(served.pool))
    await served.set_up()

    assert len(await entries(served.pool)) == before


async def test_a_password_is_not_written_down_but_that_it_changed(served: Served) -> None:
    await served.set_up(address="rtsp://me:secret@camera/1")
    await served.set_up(address="rtsp://me:other@camera/1")

    written = await entries(served.pool)
    assert "secret" not in str(written)
    assert "sealed" not in str(written)
    assert (written[-1]["before"]["address"], written[-1]["after"]["address"]) == ("***", "*** (another)")
