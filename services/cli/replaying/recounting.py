"""A camera's stored paths, recounted over other lines, and the crossings that come of it written as a run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

import asyncpg
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError
from pydantic import ValidationError

from contracts.events import Crossing, Path, SessionEnd
from contracts.frames import EndReason
from contracts.identity import LIVE, Policy, to_datetime, to_ns
from contracts.runs import Run, RunKind, RunState
from contracts.spec import CameraSpec, CountingLine
from contracts.streams import PATHS, run_streams
from contracts.subjects import crossings, paths
from services.cli.console.errors import Refused
from services.cli.console.options import LineWords
from services.cli.replaying.history import AROUND
from services.cli.replaying.lifecycle import close_run, open_run, remove_run
from services.cli.replaying.ordered_publish import Appender
from services.cli.replaying.planning import moment, revised
from services.cli.replaying.results import have_ended
from services.kit.nats.bus import Bus
from services.kit.nats.consumer import Reader
from services.tracker.counting.recount import Recount

LEAD = 300_000_000_000
"""Who is in the picture when a period begins came into it, as a rule, less long ago; and what was begun in it is
decided by so long after. ns."""
UNPUBLISHED = 60_000_000_000
"""Where people went less long ago is not in the paths yet, for certain; ns."""
BATCH = 256
LOOK_EVERY = 0.1
PATIENCE = 15.0
"""Seconds in which persistence writes some weeks; after that it is told who may be missing."""


@dataclass(frozen=True, slots=True)
class Recounted:
    """What came of the paths.

    Attributes:
        since, until: what was recounted, ns UTC, `until` not included.
        crossings: in the order in which they were decided.
        last: the last path of each session, in order.
        paths: how many there were.
        unread: how many could not be read.
    """

    since: int
    until: int
    crossings: tuple[Crossing, ...] = ()
    last: tuple[Path, ...] = ()
    paths: int = 0
    unread: int = 0


def lines_over(spec: CameraSpec, words: LineWords) -> tuple[CountingLine, ...]:
    """The lines that are said, what is not said of them being as it is; the camera's own where none is.

    Raises:
        Refused: it is not clear which line is meant, or on which side of a new one an IN ends.
        pydantic.ValidationError: a line cannot count.
    """
    drawn = {line.id: line for line in spec.lines}
    if not words.lines and not drawn:
        raise Refused(f"camera {spec.camera!r} has no line: draw one, as in --line door=0.5,0,0.5,1 --in left")
    said = _said(words, drawn)
    new = [str(fields["id"]) for fields in said if fields["id"] not in drawn and "in_side" not in fields]
    if new:
        raise Refused(
            f"camera {spec.camera!r} has no line {new[0]!r}: say on which side an IN ends, by --in left|right"
        )
    was = {name: line.model_dump() for name, line in drawn.items()}
    lines = [CountingLine.model_validate({**was.get(str(fields["id"]), {}), **fields}) for fields in said]
    spec = CameraSpec.model_validate({**spec.model_dump(), "lines": lines})
    return tuple(revised(line, drawn.get(line.id), spec.revision + 1) for line in spec.lines)


def _said(words: LineWords, drawn: dict[str, CountingLine]) -> tuple[dict[str, object], ...]:
    if not words.lines:
        return words.over([line.model_dump() for line in drawn.values()])
    if all("=" in text for text in words.lines):
        return words.read()
    if len(words.lines) == len(drawn) == 1:
        return replace(words, ids=tuple(drawn)).read()
    known = ", ".join(drawn) or "none"
    raise Refused(f"--line {words.lines[0]}: say which line that is, as in --line door=…; the camera has: {known}")


async def recount(
    bus: Bus, run: str, spec: CameraSpec, lines: Sequence[CountingLine], since: int | None, until: int | None, now: int
) -> Recounted:
    """Recount a camera.

    Args:
        bus: the connection.
        run: whose crossings these are to be.
        spec: the camera's newest.
        lines: to count over.
        since, until: crossings from then until before then, ns UTC; None is the beginning and the end of what there is.
        now: the present moment, ns UTC.

    Raises:
        Refused: there is no path of the camera in that time.
    """
    work, found, last = Recount(run, spec.camera, lines), list[Crossing](), dict[str, Path]()
    seen = _Seen()

    def take(msgs: Sequence[Msg]) -> None:
        for msg in msgs:
            path = seen.read(msg)
            if path is None or not (since or 0) - LEAD <= path.at < (until or path.at + 1) + LEAD:
                continue
            last[path.session] = path
            found.extend(work.take(path))

    async for msgs in _messages(bus, spec, since):
        await asyncio.to_thread(take, msgs)
    found.extend(await asyncio.to_thread(work.finish))
    if not last:
        held = f"there are those from {moment(seen.first)} to {moment(seen.end)}" if seen.paths else "there are none"
        raise Refused(f"no paths of camera {spec.camera!r} in that time: {held}")
    begin = seen.first if since is None else max(since, await _reach(bus, spec, seen.first))
    known = now - UNPUBLISHED if spec.policy is Policy.LATEST else max(now - UNPUBLISHED, seen.end + 1)
    end = min(seen.end + 1 if until is None else until, known)
    if end <= begin:
        raise Refused(f"nothing to recount from {moment(begin)} to {moment(end)}: --until must come after --since")
    kept = tuple(crossing for crossing in found if begin <= crossing.at < end)
    return Recounted(begin, end, kept, tuple(last.values()), seen.paths, seen.unread)


@dataclass(slots=True)
class _Seen:
    """What was read."""

    first: int = 0
    end: int = 0
    paths: int = 0
    unread: int = 0

    def read(self, msg: Msg) -> Path | None:
        try:
            path = Path.model_validate_json(msg.data)
        except ValidationError:
            path = None
        if path is None or not path.points:
            self.unread += 1
            return None
        self.paths += 1
        self.first = min(self.first or path.at, path.at)
        self.end = max(self.end, path.at + 1_000_000 * path.points[-1].t)
        return path


async def write_run(
    bus: Bus, database: asyncpg.Pool, run: Run, recounted: Recounted, tell: Callable[[str], None]
) -> Run:
    """Write what was recounted as a run, and wait until all of it is in the database. Returns the run as it ended.

    Args:
        bus: the connection to NATS.
        database: a pool, or a connection.
        run: of the kind `paths`, whose name is free.
        recounted: its crossings.
        tell: gets a line for what the person who waits should know.

    Raises:
        Refused: there is a run of that name, or it was dropped meanwhile.
    """
    assert run.kind is RunKind.PATHS
    await open_run(bus, run)
    try:
        await _publish(bus, run, recounted)
        await _wait_for_rows(database, run, recounted, tell)
    except (Refused, asyncio.CancelledError):
        await remove_run(bus, database, run.name)
        raise
    ended = run.model_copy(update={"state": RunState.FINISHED})
    await close_run(bus, ended)
    return ended


async def _publish(bus: Bus, run: Run, recounted: Recounted) -> None:
    appender = Appender(bus, run_streams(run.name).crossings)
    counts = Counter(crossing.session for crossing in recounted.crossings)
    ends = [_end(run.name, path, counts[path.session]) for path in recounted.last]
    events: list[Crossing | SessionEnd] = [*recounted.crossings, *ends]
    for event in events:
        await appender.append(crossings(run.name, event.store, event.camera), event.encode(), {})
    await appender.flush()


async def _wait_for_rows(database: asyncpg.Pool, run: Run, recounted: Recounted, tell: Callable[[str], None]) -> None:
    sessions = {(path.camera, path.session) for path in recounted.last}
    waited = 0.0
    while not await have_ended(database, run.name, sessions):
        await asyncio.sleep(LOOK_EVERY)
        waited += LOOK_EVERY
        if waited - LOOK_EVERY < PATIENCE <= waited:
            tell("the counts do not come in: is persistence running? `./taskw up`, or `docker compose ps`")


def _end(run: str, path: Path, count: int) -> SessionEnd:
    """What closes a session in a run of paths: no frame was looked at."""
    return SessionEnd(
        run=run,
        id=SessionEnd.identify(path.camera, path.session),
        store=path.store,
        camera=path.camera,
        session=path.session,
        at=path.at + 1_000_000 * path.points[-1].t,
        reason=EndReason.FINISHED,
        frames=0,
        skipped=0,
        count=count,
    )


async def _messages(bus: Bus, spec: CameraSpec, since: int | None) -> AsyncIterator[list[Msg]]:
    """The camera's paths from a time on and around, as they are stored."""
    pattern = paths(LIVE, "*", spec.camera)
    try:
        newest = await bus.js.get_last_msg(PATHS.name, pattern)
    except NotFoundError:
        return
    config = ConsumerConfig(filter_subject=pattern, deliver_policy=DeliverPolicy.ALL)
    if since is not None and spec.policy is Policy.LATEST:
        # Of a live camera, nothing is stored before it happened. A file may be of any time.
        start = to_datetime(max(0, since - LEAD - AROUND))
        config.deliver_policy, config.opt_start_time = DeliverPolicy.BY_START_TIME, start
        if newest.time is not None and newest.time < start:
            return
    async with Reader(bus, PATHS.name, config, ahead=2 * BATCH) as reader:
        while True:
            msgs = await reader.batch(BATCH)
            yield msgs
            if msgs[-1].metadata.sequence.stream >= (newest.seq or 0):
                return


async def _reach(bus: Bus, spec: CameraSpec, first: int) -> int:
    """How far back the camera's paths are complete, ns UTC; `first` is when the first of them begins."""
    oldest = (await bus.js.stream_info(PATHS.name)).state.first_seq
    if oldest <= 1:
        return 0
    stored = (await bus.js.get_msg(PATHS.name, oldest)).time
    return to_ns(stored) if stored is not None and spec.policy is Policy.LATEST else first
