"""The persistence service: writes batches of crossings from the stream to the database, then publishes new totals.

A message is acked after the commit that holds it. Messages that cannot be stored go to the dead letters, and the rest
goes on. Replicas share one durable consumer per run: the live one, and each replay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import count

import asyncpg
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from contracts.events import SessionEnd
from contracts.identity import LIVE
from contracts.runs import Run
from contracts.streams import CROSSINGS, DLQ, Owner, Stream, run_streams
from contracts.subjects import counts
from services.kit.database.totals import Key, all_totals
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.durable_consumer import DurableConsumer
from services.kit.nats.dead_letters import dead_letter
from services.kit.nats.runs import Runs
from services.kit.nats.subscribers import jetstream_subscriber
from services.kit.retry import retry, stay_cancelled
from services.kit.service import Health, serve
from services.kit.tasks import finish
from services.persistence import metrics
from services.persistence.database_errors import UNABLE, in_words
from services.persistence.decoding import MalformedEvent, Record, read
from services.persistence.health import keep_health
from services.persistence.retention import LOG_MONTHS_KEPT, Purged, purge
from services.persistence.rollups import MINUTES_KEPT
from services.persistence.settings import PersistenceSettings
from services.persistence.writer import Outcome, Writer

SERVICE = Owner.PERSISTENCE
ACK_WAIT = 10.0
"""Seconds after which a crashed replica's messages are redelivered to another. A batch takes milliseconds; during an
outage of the database the redeliveries are harmless."""
CONSUMER = ConsumerConfig(
    durable_name=SERVICE,
    deliver_policy=DeliverPolicy.ALL,
    ack_policy=AckPolicy.EXPLICIT,
    ack_wait=ACK_WAIT,
    max_ack_pending=4096,
)
BATCH = 500
GRACE = 5.0
"""Seconds that a begun batch may take after the signal to stop."""

PATIENT_DELIVERIES = 20
"""Deliveries of a session's end, over about 75 s, after which missing crossings are given up, provided that every
earlier message of the stream is acked. Until then, one may be redelivered after `ACK_WAIT`, or once the database is
back."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0

BEAT = 60.0
PRUNE_EVERY = 60  # beats
PURGE_EVERY = 3600.0

Clock = Callable[[], datetime]

log = logger()


def utc_now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)


class Persistence:
    """The work of one replica.

    Args:
        bus: the connection to NATS.
        pool: of connections to Postgres, which may be away.
        clock: gives the present moment, with a time zone.
        log_months_kept: see `retention.purge`.
    """

    def __init__(
        self, bus: Bus, pool: asyncpg.Pool, clock: Clock = utc_now, log_months_kept: int = LOG_MONTHS_KEPT
    ) -> None:
        self._bus, self._pool, self._clock = bus, pool, clock
        self._log_months_kept = log_months_kept
        self._writer = Writer(pool)
        self._runs = Runs()

    async def run(self) -> None:
        """Work until cancelled; a begun batch is finished first."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(CROSSINGS, LIVE))
            group.create_task(self._runs.follow(self._bus))
            group.create_task(self._runs.each(self._read_run, forget=self._forget))
            group.create_task(self._keep_house())
            group.create_task(self._purge())
            group.create_task(keep_health(self._bus, self._pool))

    async def check(self) -> None:
        """Check that the database can be written.

        Raises:
            RuntimeError: it cannot; the message is the reason.
        """
        if self._writer.problem is not None:
            raise RuntimeError(self._writer.problem)
        try:
            await self._pool.fetch("SELECT 1 FROM store_version LIMIT 0")
        except UNABLE as error:
            raise RuntimeError(in_words(error)) from error

    async def _read_run(self, run: Run) -> None:
        await self._read(run_streams(run.name).crossings, run.name)

    async def _read(self, stream: Stream, run: str) -> None:
        subscriber = jetstream_subscriber(self._bus.broker, stream)

        @subscriber
        async def store(messages: list[Msg]) -> None:
            await self._handle(messages, run)

        async with subscriber, DurableConsumer(self._bus, stream.name, CONSUMER, ahead=2 * BATCH) as consumer:
            while True:
                await finish(subscriber.deliver(await consumer.batch(BATCH)), within=self._grace)

    def _grace(self) -> float:
        """Seconds to finish a batch at the end; none in an outage: it would only wait, and the batch is redelivered."""
        return GRACE if self._writer.problem is None else 0.0

    async def _handle(self, msgs: Sequence[Msg], run: str) -> None:
        started = time.monotonic()
        if run == LIVE:
            metrics.LAG.set(msgs[-1].metadata.num_pending)
        records: list[tuple[Msg, Record]] = []
        malformed: list[tuple[Msg, str]] = []
        for msg in msgs:
            try:
                records.append((msg, read(msg.subject, msg.data)))
            except MalformedEvent as error:
                malformed.append((msg, str(error)))
        outcome = await self._writer.write([record for _, record in records], await self._overdue(records))
        if run == LIVE:
            self._measure(outcome, msgs, started)
        await self._announce(outcome.changed)
        await self._answer(records, outcome, run)
        for msg, reason in malformed:
            await self._dead_letter(msg, "malformed", reason, run)

    async def _overdue(self, records: Sequence[tuple[Msg, Record]]) -> set[SessionEnd]:
        """Ends of sessions that are to be written without their missing crossings, as these will not come."""
        late = {
            record: msg.metadata
            for msg, record in records
            if isinstance(record, SessionEnd) and msg.metadata.num_delivered >= PATIENT_DELIVERIES
        }
        if not late:
            return set()
        read_from = next(iter(late.values()))
        try:
            consumer = await self._bus.js.consumer_info(read_from.stream, read_from.consumer)
        except (NatsError, TimeoutError, OSError) as error:
            log.debug("it cannot be seen what other replicas have in hand", reason=in_words(error))
            return set()
        # All replicas' messages up to this position in the stream are committed or in the dead letters.
        handled = consumer.ack_floor.stream_seq
        return {end for end, metadata in late.items() if metadata.sequence.stream <= handled + 1}

    async def _answer(self, records: Sequence[tuple[Msg, Record]], outcome: Outcome, run: str) -> None:
        incomplete = set(outcome.incomplete)
        for msg, record in records:
            if record in outcome.refused:
                await self._dead_letter(msg, "refused", outcome.refused[record], run)
            elif record in incomplete:
                pause = FIRST_PAUSE * 2 ** min(msg.metadata.num_delivered - 1, 10)
                await _send(msg.nak(delay=min(pause, LONGEST_PAUSE)))
            else:
                await _send(msg.ack())

    async def _dead_letter(self, msg: Msg, why: str, reason: str, run: str) -> None:
        await dead_letter(self._bus, SERVICE, msg, reason, run=run)
        metrics.DEAD_LETTERS.labels(why).inc()
        await _send(msg.ack())

    async def _announce(self, keys: Collection[Key]) -> None:
        """Publish stores' totals as committed, at most once: the next commit, or a reader's query, corrects a loss."""
        if not keys:
            return
        try:
            for totals in await all_totals(self._pool, sorted(keys), self._clock()):
                await self._bus.send(counts(totals.run, totals.store), totals.encode())
        except (*UNABLE, NatsError) as error:
            stay_cancelled()
            log.info("counts could not be announced; they are in the database", reason=in_words(error))

    def _measure(self, outcome: Outcome, msgs: Sequence[Msg], started: float) -> None:
        metrics.CROSSINGS.inc(outcome.new)
        metrics.DUPLICATES.inc(outcome.duplicates)
        metrics.BATCH_SECONDS.observe(time.monotonic() - started)
        metrics.DELAY.observe((self._clock() - msgs[0].metadata.timestamp).total_seconds())

    async def _forget(self, run: str) -> None:
        """Delete all rows of a dropped run; waits through an outage of the database."""
        waiting = "the rows of a dropped run cannot be deleted yet"
        await retry(lambda: self._writer.forget_run(run), waiting, on=UNABLE, describe=in_words, run=run)

    async def _keep_house(self) -> None:
        for beat in count():
            try:
                await self._announce(await self._writer.follow_time_zones())
                if beat % PRUNE_EVERY == 0:
                    await self._writer.prune_minutes(MINUTES_KEPT)
            except UNABLE as error:
                stay_cancelled()
                log.debug("housekeeping waits for the database", reason=in_words(error))
            await asyncio.sleep(BEAT)

    async def _purge(self) -> None:
        """Remove data that is older than its organization keeps, every `PURGE_EVERY` seconds. It may take minutes."""
        while True:
            try:
                purged = await purge(self._pool, self._clock(), self._log_months_kept)
                metrics.PURGED.inc(purged.crossings)
                if purged != Purged():
                    log.info("what was too old is removed", **asdict(purged))
            except UNABLE as error:
                stay_cancelled()
                log.debug("the purge waits for the database", reason=in_words(error))
            await asyncio.sleep(PURGE_EVERY)


async def _send(ack: Coroutine[None, None, None]) -> None:
    try:
        await ack
    except NatsError as error:
        log.debug("an acknowledgement was lost; the message comes again and adds nothing", reason=in_words(error))


def open_pool(database_url: str) -> asyncpg.Pool:
    """A pool of connections to Postgres, opened when needed, as the database may be away at any time."""
    return asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=5,
        timeout=5,
        command_timeout=15,
        # On a server that answers before a commit is safe, an acked message could be lost with the commit.
        server_settings={"application_name": f"metrica-{SERVICE}", "synchronous_commit": "on"},
    )


async def work(bus: Bus, health: Health, settings: PersistenceSettings) -> None:
    """Run the service on a connected bus until cancelled."""
    async with open_pool(settings.database_url.get_secret_value()) as pool:
        persistence = Persistence(bus, pool, log_months_kept=settings.log_months_kept)
        health.checks["database"] = persistence.check
        await persistence.run()


def main() -> None:
    """Start the service."""
    settings = PersistenceSettings()
    serve(SERVICE, settings, lambda bus, health: work(bus, health, settings), streams=[CROSSINGS.name, DLQ.name])
