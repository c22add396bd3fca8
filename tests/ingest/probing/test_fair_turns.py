"""Turns of camera tests: organizations are served one after the other, and none takes all places."""

from __future__ import annotations

import asyncio

from services.ingest.probing.fair_turns import FairTurns


class Line:
    """People who wait for a place, and have it until they are told to leave."""

    def __init__(self, turns: FairTurns) -> None:
        self._turns = turns
        self.served: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def wait(self, *names: str) -> None:
        """Let some wait; what comes before the dash is the organization."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._have(name))
        await settle()

    async def leave(self, *names: str) -> None:
        """End some, who wait or have a place."""
        for name in names:
            self.tasks[name].cancel()
            await settle()

    async def _have(self, name: str) -> None:
        async with self._turns.turn(name.partition("-")[0]):
            self.served.append(name)
            await asyncio.Event().wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_organization_leaves_places_to_others() -> None:
    line = Line(FairTurns(at_once=4, per_organization=2))
    await line.wait(*(f"a-{n}" for n in range(12)), "b-0")

    assert line.served == ["a-0", "a-1", "b-0"]
    await line.leave(*line.tasks)


async def test_organizations_are_served_in_turn() -> None:
    line = Line(FairTurns(at_once=1, per_organization=1))
    await line.wait("a-0", "a-1", "a-2", "b-0", "b-1", "c-0")
    while len(line.served) < 6:
        await line.leave(line.served[-1])

    assert line.served == ["a-0", "a-1", "b-0", "c-0", "a-2", "b-1"]
    await line.leave(*line.tasks)


async def test_who_stops_waiting_takes_nobodys_place() -> None:
    line = Line(FairTurns(at_once=1))
    await line.wait("a-0", "b-0", "b-1", "c-0")
    await line.leave("b-0", "b-1")
    await line.leave("a-0")

    assert line.served == ["a-0", "c-0"]
    await line.leave("c-0")
    await line.wait("a-9")
    assert line.served[-1] == "a-9"
    await line.leave(*line.tasks)


async def test_threads_that_hang_on_hold_up_their_own_organization_alone() -> None:
    turns = FairTurns(at_once=4, per_organization=2, lingering=2)
    hanging = [asyncio.get_running_loop().create_future() for _ in range(2)]
    for thread in hanging:
        turns.linger("a", thread)
    line = Line(turns)
    await line.wait("a-0", "b-0")
    assert line.served == ["b-0"]

    hanging[0].set_exception(OSError("given up"))
    await settle()
    assert line.served == ["b-0", "a-0"]
    await line.leave(*line.tasks)
