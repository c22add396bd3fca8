"""Demand for pools: the models that cameras, and runs beside the live one, ask for, as that changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine

from pydantic import ValidationError

from contracts.identity import token
from contracts.runs import Run, RunKind
from contracts.spec import CameraSpec
from contracts.streams import CAMERAS
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.kv_watch import watch
from services.kit.nats.runs import Runs

log = logger()


class Demand:
    """The cameras and runs of each pool, kept up to date while `follow` and `follow_runs` run."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._specs: dict[str, CameraSpec] = {}
        self.changed = asyncio.Event()

    def cameras(self, pool: str) -> list[CameraSpec]:
        """The cameras of a pool."""
        return [spec for spec in self._specs.values() if spec.pool == pool]

    def runs(self, pool: str) -> list[Run]:
        """The runs beside the live one that use a pool."""
        return [run for run in self._runs.running.values() if asks_for(run, pool)]

    def models(self) -> dict[str, str]:
        """The model's name for each pool."""
        beside = {token(model): model for run in self._runs.running.values() for model in _models(run)}
        return beside | {spec.pool: spec.model for spec in self._specs.values()}

    async def follow(self, bus: Bus) -> None:
        """Watch the configuration for ever."""
        async for entry in watch(bus, CAMERAS, "*.current"):
            key = entry.key.removesuffix(".current")
            if entry.value is None:
                self._specs.pop(key, None)
            else:
                try:
                    self._specs[key] = CameraSpec.model_validate_json(entry.value)
                except ValidationError as error:
                    log.error("a camera's spec cannot be read", camera=key, error=str(error))
            self.changed.set()

    async def follow_runs(self) -> None:
        """Set `changed` at every change of the runs, for ever."""
        async for _ in self._runs.changes():
            self.changed.set()


def asks_for(run: Run, pool: str) -> bool:
    """Tell whether a run uses a pool."""
    return pool in map(token, _models(run))


def _models(run: Run) -> tuple[str, ...]:
    return run.models if run.kind is RunKind.FRAMES else ()


async def run_pools(
    demand: Demand, only: Collection[str], work: Callable[[str, str], Coroutine[None, None, None]]
) -> None:
    """Keep one `work(pool, model)` running for each pool that is asked for; an exception of one ends them all.

    Args:
        demand: the pools that are asked for.
        only: names of pools to serve; empty serves all.
        work: goes on until it is cancelled.
    """
    running: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        while True:
            await demand.changed.wait()
            demand.changed.clear()
            models = {pool: model for pool, model in demand.models().items() if not only or pool in only}
            for pool in running.keys() - models.keys():
                running.pop(pool).cancel()
            for pool in models.keys() - running.keys():
                running[pool] = group.create_task(work(pool, models[pool]), name=f"pool {pool}")
