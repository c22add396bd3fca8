"""The replay service: carries out the runs that are asked for, and removes those that are to be dropped.

The work on a run is shared among replicas by leases, a run being one piece. What a run needs is in its entry, and how
far it is fed in its progress beside it, so that any replica can go on with a run whose replica was killed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum

from nats.js.errors import KeyNotFoundError
from prometheus_client import Counter, Gauge
from pydantic import ValidationError

from contracts.runs import RUN_ENTRIES, Run, RunKind, RunPhase, RunProgress
from contracts.streams import DETECTIONS, PATHS, RECORDED, RUNS, Owner
from services.kit.logs import bound_contextvars, logger
from services.kit.nats.bus import Bus
from services.kit.nats.kv_watch import watch
from services.kit.nats.leases.assignment import Assignment
from services.kit.nats.leases.lease import Lease
from services.kit.nats.run_entries import change_run, find_run, has_ended, read_progress, write_progress
from services.kit.retry import BROKER_AWAY, retry
from services.kit.service import Health, serve
from services.kit.settings import ServiceSettings
from services.kit.tasks import cancel_and_wait
from services.replay.errors import RunError, Superseded
from services.replay.history import BrokerHistory, now_ns
from services.replay.lifecycle import close_run, drop_run, make_streams
from services.replay.planning import check_data, spec_in_run
from services.replay.recount import recount, store_recount
from services.replay.runner import Replay

REPORT_EVERY = 0.5
"""Seconds between two reports of a run's progress. So much is looked at again after a kill, where frames are fed."""
LOOK_AGAIN = 30.0
"""Seconds after which an entry is read again that may have changed unseen, in an outage."""
AFTER_ERROR = 1.0
"""Seconds until the next try, where what failed was the end of a run."""

ENDED = Counter("metrica_replay_runs_total", "Runs that ended", ["phase"])
PLAYING = Gauge("metrica_replay_runs_playing", "Runs that this replica plays now")

log = logger()


class Task(Enum):
    """The next piece of work on a run."""

    PLAY = "play"
    CLOSE = "close"
    DROP = "drop"


def task_for(run: Run) -> Task | None:
    """Tell what is to be done about a run; None if nothing is, or if a command does it."""
    if run.stands is RunPhase.DROPPING:
        return Task.DROP
    if run.request is None or has_ended(run):
        return None
    return Task.PLAY if run.stands in {RunPhase.REQUESTED, RunPhase.RUNNING, RunPhase.STOPPING} else Task.CLOSE


class ReplayService:
    """One replica.

    Args:
        bus: the connection.
        replica: its name.
        clock: gives the present time, ns UTC.
    """

    def __init__(self, bus: Bus, replica: str, clock: Callable[[], int] = now_ns) -> None:
        self._bus, self._clock = bus, clock
        self._runs: dict[str, Run] = {}
        self._changed = asyncio.Condition()
        self._assignment = Assignment(bus, Owner.REPLAY.value, replica, self._keep)
        self._work: dict[Task, Callable[[Run], Awaitable[None]]] = {
            Task.PLAY: self._play,
            Task.CLOSE: self._close,
            Task.DROP: self._drop,
        }

    async def run(self) -> None:
        """Work on this replica's runs until cancelled; then leave them to the others as they are."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._assignment.run())

    async def _follow(self) -> None:
        async for entry in watch(self._bus, RUNS, RUN_ENTRIES):
            name = entry.key.removesuffix(RUN_ENTRIES.removeprefix("*"))
            await self._note(name, None if entry.value is None else _read(name, entry.value))

    async def _note(self, name: str, run: Run | None) -> None:
        """Take a run's present entry into account; None for a run that is gone."""
        async with self._changed:
            if run is None:
                self._runs.pop(name, None)
            else:
                self._runs[name] = run
            self._assignment.set_items([name for name, run in self._runs.items() if task_for(run) is not None])
            self._changed.notify_all()

    async def _keep(self, name: str, _lease: Lease) -> None:
        """Do what is to be done about a run, one thing after another, until nothing is."""
        with bound_contextvars(run=name):
            while True:
                run = await retry(lambda: find_run(self._bus, name), "reading a run's entry failed, trying again")
                await self._note(name, run)
                task = None if run is None else task_for(run)
                if run is None or task is None:
                    return
                await self._work_on(run, task)

    async def _work_on(self, run: Run, task: Task) -> None:
        """Do one thing about a run; ends early when another one is to be done."""
        work = asyncio.create_task(self._until_done(run, task))
        other = asyncio.create_task(self._until_other(run, task))
        try:
            await asyncio.wait([work, other], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait(work, other)

    async def _until_done(self, run: Run, task: Task) -> None:
        """Do one thing about a run. An outage is waited out; any other failure is the run's alone."""
        waiting = "the work on a run waits for the broker"
        try:
            await retry(lambda: self._work[task](run), waiting, report=log.info, is_permanent=_is_deleted)
        except KeyNotFoundError:
            return  # the run is gone
        except Superseded as reason:
            log.warning("another replica is at work on this run; leaving it", reason=str(reason))
            await asyncio.sleep(REPORT_EVERY)
        except (RunError, ValidationError) as error:
            await self._fail(run, in_words(error))
        except Exception as error:  # the other runs go on, whatever breaks one
            log.exception("a run cannot be carried out")
            await self._fail(run, f"the replay service met an unexpected error: {error!r}")
            await asyncio.sleep(AFTER_ERROR)

    async def _until_other(self, run: Run, task: Task) -> None:
        """Wait until something else is to be done about a run, or it is another one of its name."""
        while self._is_same(run, task):
            try:
                async with asyncio.timeout(LOOK_AGAIN), self._changed:
                    await self._changed.wait_for(lambda: not self._is_same(run, task))
            except TimeoutError:
                with suppress(*BROKER_AWAY):
                    await self._note(run.name, await find_run(self._bus, run.name))

    def _is_same(self, run: Run, task: Task) -> bool:
        now = self._runs.get(run.name)
        return now is not None and now.created_at == run.created_at and task_for(now) is task

    async def _play(self, run: Run) -> None:
        """Carry out a run, from its begin or from where another replica left it."""
        PLAYING.inc()
        try:
            ended = await (self._recount(run) if run.kind is RunKind.PATHS else self._replay(run))
        finally:
            PLAYING.dec()
        if ended is not None:
            await self._change(run, lambda entry: _ended(entry, ended))
            ENDED.labels(ended.stands.value).inc()
            log.info("a run has ended", phase=ended.stands.value)

    async def _replay(self, run: Run) -> Run | None:
        past = BrokerHistory(self._bus, _stores(run))
        if run.stands is RunPhase.REQUESTED:
            await check_data(past, run)
        started = await self._start(run)
        if started is None:
            return None
        request, before = started.request, await read_progress(self._bus, run.name)
        assert request is not None
        replay = Replay(
            self._bus,
            started,
            past,
            lambda spec: spec_in_run(started, spec),
            begin=request.begin,
            fed=before.cameras,
        )
        helpers = [asyncio.create_task(self._report(run.name, replay)), asyncio.create_task(self._stop(run, replay))]
        try:
            ended = await replay.play()
        finally:
            await cancel_and_wait(*helpers)
        await write_progress(self._bus, run.name, RunProgress(done=1.0, notes=replay.notes, cameras=replay.fed))
        return ended

    async def _recount(self, run: Run) -> Run | None:
        assert run.request is not None
        (camera,) = run.cameras
        spec = await BrokerHistory(self._bus).spec(camera.camera)
        if spec is None:
            raise RunError(f"there is no camera {camera.camera!r}: `metrica camera list` shows them")
        if not (run.lines or spec.lines):
            raise RunError(f"camera {camera.camera!r} has no line: a recount needs one")
        is_new, lines, now = run.stands is RunPhase.REQUESTED, run.lines or spec.lines, self._clock()
        since, until = (run.request.since, run.request.until) if is_new else (run.since, run.until)
        recounted = await recount(self._bus, run.name, spec, lines, since, until, now, _stores(run).get(spec.camera))
        period = {"since": recounted.since, "until": recounted.until, "lines": lines}
        started = await self._start(run.model_copy(update=period))
        if started is None:
            return None
        progress = RunProgress(done=0.5, paths=recounted.paths, unread=recounted.unread)
        await write_progress(self._bus, run.name, progress)
        await store_recount(self._bus, started, recounted)
        await write_progress(self._bus, run.name, progress.model_copy(update={"done": 1.0}))
        return started.in_phase(RunPhase.FINISHED)

    async def _start(self, run: Run) -> Run | None:
        """Make a run's streams, and let the services work on it. Returns its entry; None if it is to be dropped."""
        await make_streams(self._bus, run)

        def start(entry: Run) -> Run:
            if entry.stands is not RunPhase.REQUESTED:
                return entry
            period = {"since": run.since, "until": run.until, "lines": run.lines}
            return entry.in_phase(RunPhase.RUNNING).model_copy(update=period)

        entry = await self._change(run, start)
        return entry if entry is not None and entry.running else None

    async def _stop(self, run: Run, replay: Replay) -> None:
        """Stop a replay once somebody asks for that."""
        async with self._changed:
            await self._changed.wait_for(lambda: _is_stopping(self._runs.get(run.name)))
        replay.stop()

    async def _report(self, name: str, replay: Replay) -> None:
        """Store a replay's progress, now and then."""
        reported = None
        while True:
            replay.session_began.clear()
            progress = RunProgress(done=replay.done, notes=replay.notes, cameras=replay.fed)
            if progress != reported:
                try:
                    await write_progress(self._bus, name, progress)
                    reported = progress
                except BROKER_AWAY as error:
                    log.debug("a run's progress could not be stored", reason=repr(error))
            try:
                async with asyncio.timeout(REPORT_EVERY):
                    await replay.session_began.wait()
            except TimeoutError:
                continue

    async def _fail(self, run: Run, reason: str) -> None:
        log.warning("a run has failed", reason=reason)
        ENDED.labels(RunPhase.FAILED.value).inc()

        def fail(entry: Run) -> Run:
            return entry.in_phase(RunPhase.FAILED, reason=reason) if task_for(entry) is Task.PLAY else entry

        await retry(lambda: self._change(run, fail), "a failed run's entry cannot be written")

    async def _close(self, run: Run) -> None:
        await close_run(self._bus, run, self._clock())

    async def _drop(self, run: Run) -> None:
        began = time.monotonic()
        await drop_run(self._bus, run)
        log.info("a run was dropped", seconds=round(time.monotonic() - began, 1))

    async def _change(self, run: Run, change: Callable[[Run], Run]) -> Run | None:
        """Change the entry of this very run, not of a later one of its name."""
        entry = await change_run(
            self._bus, run.name, lambda entry: change(entry) if entry.created_at == run.created_at else entry
        )
        await self._note(run.name, entry)
        return entry


def in_words(error: RunError | ValidationError) -> str:
    """The error in one line."""
    if isinstance(error, RunError):
        return str(error)
    problem = error.errors()[0]
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg'].removeprefix('Value error, ')}".removeprefix(": ")


def _stores(run: Run) -> dict[str, str]:
    """Return the stores to which the data of a run's cameras are limited; none in a run of an operator's."""
    limited = run.request is not None and run.request.in_store
    return {camera.camera: camera.store for camera in run.cameras} if limited else {}


def _ended(entry: Run, ended: Run) -> Run:
    """Return a running entry as it has ended."""
    if not entry.running:
        return entry
    return entry.in_phase(ended.stands).model_copy(update={"covered": ended.covered})


def _is_stopping(run: Run | None) -> bool:
    return run is not None and run.stands is RunPhase.STOPPING


def _is_deleted(error: Exception) -> bool:
    return isinstance(error, KeyNotFoundError)


def _read(name: str, value: bytes) -> Run | None:
    try:
        return Run.model_validate_json(value)
    except ValidationError as error:
        log.error("a run cannot be read", run=name, error=str(error))
        return None


def main() -> None:
    """Run the replay service until SIGTERM."""
    settings = ServiceSettings()

    async def work(bus: Bus, _health: Health) -> None:
        await ReplayService(bus, settings.replica).run()

    serve(Owner.REPLAY, settings, work, [DETECTIONS.name, RECORDED.name, PATHS.name, f"KV_{RUNS.name}"])
