"""Work is tried again through an outage, with growing delays, and one line in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from services.kit import retry as module
from services.kit.retry import JITTER, Backoff, retry


@pytest.fixture(autouse=True)
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(module, "LONGEST_DELAY", 0.008)


def failing(times: int, error: type[Exception] = OSError) -> Callable[[], Awaitable[str]]:
    """Work that fails a few times, and then gives "done"."""
    left = iter(range(times))

    async def work() -> str:
        for number in left:
            raise error(f"try {number}")
        return "done"

    return work


async def test_work_is_done_again_until_it_succeeds() -> None:
    assert await retry(failing(5)) == "done"


async def test_other_errors_are_raised() -> None:
    with pytest.raises(LookupError):
        await retry(failing(1, LookupError))


async def test_an_error_that_is_permanent_is_raised() -> None:
    with pytest.raises(OSError, match="try 0"):
        await retry(failing(1), is_permanent=lambda error: "0" in str(error))


async def test_an_outage_is_one_line_in_the_log() -> None:
    lines: list[tuple[str, dict[str, object]]] = []

    await retry(
        failing(4), "the frame waits", report=lambda text, **fields: lines.append((text, fields)), camera="door"
    )

    assert lines == [("the frame waits", {"reason": "try 0", "camera": "door"})]


async def test_a_cancellation_that_an_error_replaced_is_kept() -> None:
    """As asyncpg does, where its connection breaks while a task is cancelled."""
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError("the connection broke") from None

    task = asyncio.create_task(retry(work))
    await started.wait()
    task.cancel()
    await asyncio.wait([task], timeout=5)

    assert task.cancelled()


async def test_delays_double_up_to_a_limit_and_are_drawn_by_half() -> None:
    backoff = Backoff()
    delays = [await backoff.wait() for _ in range(6)]

    for delay, longest in zip(delays, (0.001, 0.002, 0.004, 0.008, 0.008, 0.008), strict=True):
        assert longest * (1 - JITTER) <= delay <= longest
    backoff.reset()
    assert await backoff.wait() <= 0.001
