"""Recounts of a camera's stored paths over other lines, and their storage as a run."""

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
from services.cli.console.errors import CommandError
from services.cli.console.options import LineWords
from services.cli.replaying.history import AROUND
from services.cli.replaying.lifecycle import close_run, open_run, remove_run
from services.cli.replaying.ordered_publish import OrderedPublisher
from services.cli.replaying.planning import moment, revised
from services.cli.replaying.results import have_ended
from services.kit.nats.bus import Bus
from services.kit.nats.ordered_consumer import OrderedConsumer
from services.tracker.counting.recount import Recount

MARGIN = 300_000_000_000
"""Nanoseconds that are read before and after a period: people in view at its begin have usually entered the frame
within this time, and crossings that begin in it are decided within this time."""
UNPUBLISHED = 60_000_000_000
"""Nanoseconds before now whose paths may not be stored yet."""
BATCH = 256
POLL_INTERVAL = 0.1
HINT_AFTER = 15.0
"""Seconds in which persistence writes some weeks; after that, a hint is printed."""


@dataclass(frozen=True, slots=True)
class Recounted:
    """The result of a recount.

    Attributes:
        since: begin of the recounted period, ns UTC.
        until: end of the recounted period, exclusive.
        crossings: in the order in which they were decided.
        last: the last path of each session, in order.
        paths: number of paths.
        unread: number of paths that could not be decoded.
    """

    since: int
    until: int
    crossings: tuple[Crossing, ...] = ()
    last: tuple[Path, ...] = ()
    paths: int = 0
    unread: int = 0


def lines_over(spec: CameraSpec, words: LineWords) -> tuple[CountingLine, ...]:
    """Apply options to a camera's lines; without options, return them as they are.

    Raises:
        CommandError: the id of a line is ambiguous, or the IN side of a new one is missing.
        pydantic.ValidationError: a line cannot count.
    """
    drawn = {line.id: line for line in spec.lines}
    if not words.lines and not drawn:
        raise CommandError(f"camera {spec.camera!r} has no line: draw one, as in --line door=0.5,0,0.5,1 --in left")
    changes = _changes(words, drawn)
    new = [str(fields["id"]) for fields in changes if fields["id"] not in drawn and "in_side" not in fields]
    if new:
        raise CommandError(f"camera {spec.camera!r} has no line {new[0]!r}: give the side of IN by --in left|right")
    before = {name: line.model_dump() for name, line in drawn.items()}
    lines = [CountingLine.model_validate({**before.get(str(fields["id"]), {}), **fields}) for fields in changes]
    spec = CameraSpec.model_validate({**spec.model_dump(), "lines": lines})
    return tuple(revised(line, drawn.get(line.id), spec.revision + 1) for line in spec.lines)


def _changes(words: LineWords, drawn: dict[str, CountingLine]) -> tuple[dict[str, object], ...]:
    if not words.lines:
        return words.over([line.model_dump() for line in drawn.values()])
    if all("=" in text for text in words.lines):
        return words.read()
    if len(words.lines) == len(drawn) == 1:
        return replace(words, ids=tuple(drawn)).read()
    known = ", ".join(drawn) or "none"
    raise CommandError(f"--line {words.lines[0]}: name the line, as in --line door=…; the camera has: {known}")


async def recount(
    bus: Bus, run: str, spec: CameraSpec, lines: Sequence[CountingLine], since: int | None, until: int | None, now: int
) -> Recounted:
    """Recount a camera.

    Args:
        bus: the connection.
        run: name of the run for the crossings.
        spec: the camera's newest.
        lines: to count over.
        since: begin of the period, ns UTC; None for the begin of the stored paths.
        until: end of the period, exclusive; None for the end of the stored paths.
        now: the present time, ns UTC.

    Raises:
        CommandError: there is no path of the camera in that period.
    """
    work, crossings, last = Recount(run, spec.camera, lines), list[Crossing](), dict[str, Path]()
    reader = _PathReader()

    def take(msgs: Sequence[Msg]) -> None:
        for msg in msgs:
            path = reader.read(msg)
            if path is None or not (since or 0) - MARGIN <= path.at < (until or path.at + 1) + MARGIN:
                continue
            last[path.session] = path
            crossings.extend(work.take(path))

    async for msgs in _messages(bus, spec, since):
        await asyncio.to_thread(take, msgs)
    crossings.extend(await asyncio.to_thread(work.finish))
    if not last:
        stored = (
            f"stored are those from {moment(reader.first)} to {moment(reader.end)}"
            if reader.paths
            else "none is stored"
        )
        raise CommandError(f"no paths of camera {spec.camera!r} in that period: {stored}")
    begin = reader.first if since is None else max(since, await _complete_from(bus, spec, reader.first))
    known = now - UNPUBLISHED if spec.policy is Policy.LATEST else max(now - UNPUBLISHED, reader.end + 1)
    end = min(reader.end + 1 if until is None else until, known)
    if end <= begin:
        raise CommandError(f"nothing to recount from {moment(begin)} to {moment(end)}: --until must come after --since")
    within = tuple(crossing for crossing in crossings if begin <= crossing.at < end)
    return Recounted(begin, end, within, tuple(last.values()), reader.paths, reader.unread)


@dataclass(slots=True)
class _PathReader:
    """Decodes paths, and keeps account of them."""

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
    """Store a recount as a run, and wait until all of it is in the database. Returns the finished run.

    Args:
        bus: the connection to NATS.
        database: a pool, or a connection.
        run: of the kind `paths`; its name must be free.
        recounted: its crossings.
        tell: prints a line for the waiting user.

    Raises:
        CommandError: there is a run of that name, or it was dropped meanwhile.
    """
    assert run.kind is RunKind.PATHS
    await open_run(bus, run)
    try:
        await _publish(bus, run, recounted)
        await _wait_for_rows(database, run, recounted, tell)
    except (CommandError, asyncio.CancelledError):
        await remove_run(bus, database, run.name)
        raise
    ended = run.model_copy(update={"state": RunState.FINISHED})
    await close_run(bus, ended)
    return ended


async def _publish(bus: Bus, run: Run, recounted: Recounted) -> None:
    publisher = OrderedPublisher(bus, run_streams(run.name).crossings)
    counts = Counter(crossing.session for crossing in recounted.crossings)
    ends = [_end(run.name, path, counts[path.session]) for path in recounted.last]
    events: list[Crossing | SessionEnd] = [*recounted.crossings, *ends]
    for event in events:
        await publisher.publish(crossings(run.name, event.store, event.camera), event.encode(), {})
    await publisher.flush()


async def _wait_for_rows(database: asyncpg.Pool, run: Run, recounted: Recounted, tell: Callable[[str], None]) -> None:
    sessions = {(path.camera, path.session) for path in recounted.last}
    waited = 0.0
    while not await have_ended(database, run.name, sessions):
        await asyncio.sleep(POLL_INTERVAL)
        waited += POLL_INTERVAL
        if waited - POLL_INTERVAL < HINT_AFTER <= waited:
            tell("the counts do not arrive: is persistence running? `./taskw up`, or `docker compose ps`")


def _end(run: str, path: Path, count: int) -> SessionEnd:
    """Make the end of a session in a run of paths, which has no frames."""
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
    """Yield the messages of a camera's paths in stored order, from about `since` on."""
    pattern = paths(LIVE, "*", spec.camera)
    try:
        newest = await bus.js.get_last_msg(PATHS.name, pattern)
    except NotFoundError:
        return
    config = ConsumerConfig(filter_subject=pattern, deliver_policy=DeliverPolicy.ALL)
    if since is not None and spec.policy is Policy.LATEST:
        # A live camera's paths are stored after they happened. A file's times are arbitrary.
        start = to_datetime(max(0, since - MARGIN - AROUND))
        config.deliver_policy, config.opt_start_time = DeliverPolicy.BY_START_TIME, start
        if newest.time is not None and newest.time < start:
            return
    async with OrderedConsumer(bus, PATHS.name, config, ahead=2 * BATCH) as consumer:
        while True:
            msgs = await consumer.batch(BATCH)
            yield msgs
            if msgs[-1].metadata.sequence.stream >= (newest.seq or 0):
                return


async def _complete_from(bus: Bus, spec: CameraSpec, first: int) -> int:
    """Return the time from which the camera's paths are complete, ns UTC; `first` is the begin of the first path."""
    oldest = (await bus.js.stream_info(PATHS.name)).state.first_seq
    if oldest <= 1:
        return 0
    stored = (await bus.js.get_msg(PATHS.name, oldest)).time
    return to_ns(stored) if stored is not None and spec.policy is Policy.LATEST else first
