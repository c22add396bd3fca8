"""The runs that services work on beside the live one, by the bucket `runs`.

Each run has a task of its own, which ends with it: a failure in one affects neither the others nor the live run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine

from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError
from pydantic import ValidationError

from contracts.runs import RUN_ENTRIES, Run, run_key
from contracts.streams import RUNS
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.kv_watch import watch
from services.kit.tasks import cancel_and_wait

_SUFFIX = RUN_ENTRIES.removeprefix("*")
LOOK_AGAIN = 30.0
"""Seconds between checks that the running runs still have entries."""

log = logger()


class Runs:
    """The running runs, kept up to date while `follow` runs."""

    def __init__(self) -> None:
        self.running: dict[str, Run] = {}
        self.dropped: set[str] = set()
        """Names of runs with deleted entries."""
        self._listeners: set[asyncio.Event] = set()

    async def follow(self, bus: Bus) -> None:
        """Watch the bucket for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(bus))
            group.create_task(self._look_again(bus))

    async def _look_again(self, bus: Bus) -> None:
        """Remove runs without an entry: a watch that was cut off sees no delete marker once that has expired."""
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            for name in list(self.running):
                try:
                    await (await bus.bucket(RUNS)).get(run_key(name))
                except KeyNotFoundError:
                    self.running.pop(name, None)
                    self._notify()
                except (NatsError, TimeoutError, OSError):
                    break  # until the next check

    async def _watch(self, bus: Bus) -> None:
        async for entry in watch(bus, RUNS, RUN_ENTRIES):
            name = entry.key.removesuffix(_SUFFIX)
            run = None if entry.value is None else _read(name, entry.value)
            if run is not None and run.running:
                self.running[name] = run
            else:
                self.running.pop(name, None)
            if entry.value is None:
                self.dropped.add(name)
            else:
                self.dropped.discard(name)
            self._notify()

    def _notify(self) -> None:
        for listener in self._listeners:
            listener.set()

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yield at once, and then after every change."""
        changed = asyncio.Event()
        self._listeners.add(changed)
        try:
            while True:
                yield
                await changed.wait()
                changed.clear()
        finally:
            self._listeners.discard(changed)

    async def each(
        self,
        work: Callable[[Run], Coroutine[None, None, None]],
        *,
        matching: Callable[[Run], bool] = lambda _: True,
        forget: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """Keep one `work(run)` running for each matching run, until cancelled.

        Args:
            work: goes on until it is cancelled; an exception ends the work on its run alone.
            matching: selects the runs to work on.
            forget: called once for each dropped run, when its work has ended.
        """
        tasks: dict[tuple[str, int], asyncio.Task[None]] = {}  # by name and age: a name may be used again
        forgotten: set[str] = set()
        try:
            async for _ in self.changes():
                runs = {(run.name, run.created_at): run for run in self.running.values() if matching(run)}
                for key in tasks.keys() - runs.keys():
                    await cancel_and_wait(tasks[key])
                    del tasks[key]
                for key in runs.keys() - tasks.keys():
                    tasks[key] = asyncio.create_task(_isolated(work, runs[key]), name=f"run {runs[key].name}")
                forgotten &= self.dropped
                if forget is not None:
                    for name in self.dropped - forgotten:
                        await forget(name)
                        forgotten.add(name)
        finally:
            await cancel_and_wait(*tasks.values())


async def _isolated(work: Callable[[Run], Coroutine[None, None, None]], run: Run) -> None:
    try:
        await work(run)
    except Exception:  # the live run goes on, whatever breaks a replay
        log.exception("work on a run failed", run=run.name)


def _read(name: str, value: bytes) -> Run | None:
    try:
        return Run.model_validate_json(value)
    except ValidationError as error:
        log.error("a run cannot be read", run=name, error=str(error))
        return None
