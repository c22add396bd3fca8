"""`metrica export`: the CSV of the API, to a file or to standard output."""

from __future__ import annotations

import asyncio
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from services.api.cameras.repository import CameraSetup, ensure_camera
from services.persistence.writer import Writer
from tests.cli.command import METRICA, SETTINGS, metrica, metrica_process
from tests.persistence.builders import crossing

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = ("--from", "2026-11-20", "--to", "2026-11-20")


@pytest.fixture
def shop(database_url: str, api_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shop in Tunis with 5000 crossings."""

    async def count() -> None:
        setup = {
            "camera": "door",
            "address": "sim://door",
            "store": "shop",
            "time_zone": "Africa/Tunis",
            "model": "motion",
        }
        await ensure_camera(api_database_url, CameraSetup.model_validate(setup))
        async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
            await Writer(pool).write([crossing(n, at=NOON + timedelta(seconds=n)) for n in range(5000)])

    asyncio.run(count())
    monkeypatch.setenv("METRICA_DATABASE_URL", api_database_url)


@pytest.mark.usefixtures("shop")
def test_crossings_to_a_file_and_to_standard_output(tmp_path: Path) -> None:
    file = tmp_path / "crossings.csv"

    written = metrica("export", "crossings", "shop", *DAY, "-o", file)
    shown = metrica_process("export", "crossings", "shop", *DAY)

    assert (written.code, written.out, shown.code) == (0, "", 0)
    assert shown.out == file.read_text()
    lines = shown.out.splitlines()
    assert len(lines) == 5001
    assert lines[1].startswith("2026-11-20T13:00:00.000+01:00,shop,door,entrance,in,")


@pytest.mark.usefixtures("shop")
def test_footfall_by_hour(tmp_path: Path) -> None:
    file = tmp_path / "footfall.csv"

    assert metrica("export", "footfall", "shop", *DAY, "--bucket", "hour", "-o", file).code == 0

    lines = file.read_text().splitlines()
    assert lines[0] == "start,end,label,store,camera,line,in,out,covered"
    assert lines[14] == "2026-11-20T13:00:00+01:00,2026-11-20T14:00:00+01:00,2026-11-20T13:00,,,,3600,0,"
    assert len(lines) == 25


@pytest.mark.usefixtures("shop")
def test_who_reads_only_the_beginning_is_no_error() -> None:
    command = [str(METRICA), "export", "crossings", "shop", *DAY]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | SETTINGS
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline().startswith(b"at,")
        running.stdout.close()
        assert running.wait(30) == 0
        assert running.stderr.read() == b""


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("output", [(), ("-o", "/dev/full")])
def test_a_full_disk_is_told_in_one_line(output: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [str(METRICA), "export", "crossings", "shop", *DAY, *output]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=os.environ | SETTINGS
        )

    assert done.returncode == 2
    assert "cannot be written: No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("said", "told"),
    [
        (("nowhere",), "There is no store 'nowhere'"),
        (("shop", "--from", "2026-11-24", "--to", "2026-11-20"), "is after"),
        (("shop", "--from", "yesterday"), "--from: "),
        (("shop", "-o", "/nowhere/file.csv"), "/nowhere/file.csv cannot be written"),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(said: tuple[str, ...], told: str) -> None:
    refused = metrica("export", "crossings", *said)

    assert refused.code == 2
    assert told in refused.err
    assert len(refused.err.splitlines()) == 1
