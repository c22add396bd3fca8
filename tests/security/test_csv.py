"""No cell of an export is a formula, and no file name is anybody's to choose (Holds: "CSV").

A spreadsheet runs what begins with `=`, `+`, `-`, `@`, a tab or a return. Ids begin with a letter or a number, and
names, which people write, are not exported.
"""

from __future__ import annotations

import csv
import io
import re

import pytest

from tests.api.seeded import Seed
from tests.api.served import Served

FORMULA = re.compile(r"^\s*[=+\-@|%\t\r]")
EVIL = "=cmd|' /C calc'!A0"
EXPORTS = (
    "crossings.csv?from=2026-11-20&to=2026-11-23",
    "footfall.csv?from=2026-11-20&to=2026-11-23&bucket=day",
    "footfall.csv?from=2026-11-20&to=2026-11-23&bucket=hour&by=line",
)


@pytest.fixture
async def evil(guarded: Served, seed: Seed) -> Served:
    """Every name that people write is a formula; somebody has come in and gone out."""
    await guarded.cross(range(3))
    await guarded.pool.execute(
        """
        UPDATE store SET name = $1; UPDATE camera SET name = $1;
        UPDATE line SET name = $1, in_name = $1, out_name = $1; UPDATE organization SET name = $1;
        """.replace("$1", f"'{EVIL.replace(chr(39), chr(39) * 2)}'")
    )
    return guarded


@pytest.mark.parametrize("export", EXPORTS)
async def test_no_cell_is_a_formula(export: str, evil: Served, seed: Seed) -> None:
    answer = await evil.client.get(f"/v1/stores/shop/{export}", headers=seed.headers("viewer@acme"))
    rows = list(csv.reader(io.StringIO(answer.text)))

    assert answer.status_code == 200
    assert len(rows) > 1
    assert [cell for row in rows for cell in row if FORMULA.match(cell)] == []
    assert "calc" not in answer.text


async def test_no_id_begins_as_a_formula_does(guarded: Served, seed: Seed) -> None:
    headers = seed.headers("admin@acme")
    for evil in ("=1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "'=1", '"=1', "\uff1d1", "a,b", 'a"b', "a\nb"):
        camera = {"id": evil, "address": "sim://door"}
        assert (await guarded.client.post("/v1/stores/shop/cameras", json=camera, headers=headers)).status_code == 422
        line = {"id": evil, "x1": 0, "y1": 0.5, "x2": 1, "y2": 0.5}
        lines = {"lines": [line]}
        assert (await guarded.client.put("/v1/cameras/door/lines", json=lines, headers=headers)).status_code == 422


async def test_an_export_is_a_file_of_a_name_of_ours_that_no_browser_shows(evil: Served, seed: Seed) -> None:
    for export in EXPORTS:
        answer = await evil.client.get(f"/v1/stores/shop/{export}", headers=seed.headers("viewer@acme"))
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert re.fullmatch(r'attachment; filename="[A-Za-z0-9_.-]+\.csv"', answer.headers["content-disposition"])
