"""A video through the running services ends in Postgres and on the dashboard as `metrica count` counts it: truly."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright

from contracts.identity import Direction, to_ns
from contracts.streams import Owner
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from services.cli.evaluation.matching import Instant, Matching, match
from services.cli.evaluation.truth import Clip, read_truth
from tests.conftest import CHROMIUM_FLAGS
from tests.support.machine import chromium
from tests.support.record import counted, crossings, rolled_up, wait_for_end
from tests.support.scene import CAMERA, Scene, clip


@pytest.mark.footage
@pytest.mark.timeout(400)
@pytest.mark.parametrize("detectors", [pytest.param(1, marks=pytest.mark.exhaustive), 2])
def test_a_clip_ends_in_the_record_and_on_the_dashboard_as_it_is_counted_in_one_process(
    footage: Path, tmp_path: Path, detectors: int
) -> None:
    scene = clip(footage, "one_by_one.mp4")
    expected = scene.count()
    assert (expected["in"], expected["out"]) == (0, 6)
    assert _agrees_with_truth(expected, scene, read_truth(footage / "videos")["one_by_one.mp4"])

    async def look(stack: Stack) -> None:
        await ensure_camera(stack.api_database_url, scene.camera(), stack.vault)
        session = await wait_for_end(stack.database_url, CAMERA, within=180)
        assert await crossings(stack.database_url, CAMERA) == counted(expected)
        assert session["session"] == expected["session"]
        assert (session["frames"], session["skipped"], session["missed"], session["count"]) == (1394, 0, 0, 6)
        for table in ("count_minute", "count_quarter", "count_day"):
            assert await rolled_up(stack.database_url, CAMERA, table) == (0, 6)
        await _dashboard_shows(stack.url, ins="0", outs="6")

    replicas = {Owner.DETECTOR: detectors}
    with Stack(tmp_path, replicas=replicas, restart=False, durable=False, environment=scene.environment) as stack:
        asyncio.run(look(stack))


def _agrees_with_truth(expected: dict[str, Any], scene: Scene, clip: Clip) -> bool:
    start = to_ns(scene.start)
    found = [
        Instant((one["at"] - start) / 1e9 * clip.fps, Direction(one["direction"])) for one in expected["crossings"]
    ]
    return match(found, clip.truth, tolerance=clip.tolerance) == Matching(len(clip.truth), 0, 0, 0)


async def _dashboard_shows(url: str, *, ins: str, outs: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        page = await browser.new_page()
        await page.goto(url)
        await page.get_by_test_id("out").get_by_text(outs, exact=True).wait_for()
        await page.get_by_test_id("in").get_by_text(ins, exact=True).wait_for()
        await browser.close()
