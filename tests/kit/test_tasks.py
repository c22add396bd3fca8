"""Work is not cut in half by a cancellation, unless it takes too long."""

from __future__ import annotations

import asyncio

import pytest

from services.kit.tasks import finish, until


async def cancelled_within(seconds: float, work_seconds: float) -> list[str]:
    """The ends of a piece of work that takes so long, cancelled at its beginning."""
    steps: list[str] = []
    begun = asyncio.Event()

    async def work() -> None:
        steps.append("begun")
        begun.set()
        await asyncio.sleep(work_seconds)
        steps.append("ended")

    task = asyncio.create_task(finish(work(), within=lambda: seconds))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
    return steps


async def test_work_that_ends_soon_is_finished_and_the_cancellation_kept() -> None:
    assert await cancelled_within(10, work_seconds=0.01) == ["begun", "ended"]


@pytest.mark.parametrize("seconds", [0.0, 0.02])
async def test_work_that_takes_too_long_is_cancelled(seconds: float) -> None:
    assert await cancelled_within(seconds, work_seconds=60) == ["begun"]


async def test_an_error_of_the_work_is_raised() -> None:
    async def work() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await finish(work(), within=lambda: 1.0)


async def test_work_goes_on_until_the_event_and_is_cancelled_then() -> None:
    stop, begun, steps = asyncio.Event(), asyncio.Event(), list[str]()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("left")

    task = asyncio.create_task(until(stop, work()))
    await begun.wait()
    stop.set()

    await task
    assert steps == ["left"]


async def test_the_result_of_work_that_ends_first_is_returned() -> None:
    async def work() -> int:
        return 7

    assert await until(asyncio.Event(), work()) == 7


async def test_an_error_of_the_work_ends_the_wait_for_the_event() -> None:
    async def work() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await until(asyncio.Event(), work())
