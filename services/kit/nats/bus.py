"""The connection of a service to NATS.

It reconnects for ever; a service that owns streams declares them again after a restart of the server lost them;
publishing waits through an outage, without loss and without spinning. Reading is in `services.kit.nats.consumers`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Self

from nats.aio.client import Client
from nats.errors import BadHeaderError, BadSubjectError, MaxPayloadError, NoRespondersError
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig, PubAck, StorageType
from nats.js.errors import APIError, BadRequestError, NoStreamResponseError, NotFoundError, ServiceUnavailableError
from nats.js.kv import KeyValue

from contracts.streams import Bucket, Owner, Stream, owned_by
from contracts.subjects import inbox
from services.kit.logs import logger
from services.kit.nats.connection import NotPermitted, SturdyBroker, refusal_of, security
from services.kit.nats.permission_errors import Refusals
from services.kit.nats.publish_health import STREAM_FULL, PublishHealth
from services.kit.nats.stream_config import to_config
from services.kit.nats.traffic import TrafficMetrics
from services.kit.retry import LONGEST_DELAY, Backoff, retry
from services.kit.settings import ServiceSettings

PUBLISH_TIMEOUT = 2.0
"""Seconds for one try: a restarted server never acks earlier messages. Message ids make a second try harmless."""
_NAME_IN_USE = 10058
_BAD_CONFIG = 10052

log = logger()


class StreamFull(Exception):
    """The stream (discard-new) is full for now: wait and publish the same message again."""


class Bus:
    """A service's connection to NATS, as the owner of its streams and buckets."""

    def __init__(self, settings: ServiceSettings, name: str, owner: Owner | None = None) -> None:
        self._streams, self._buckets = owned_by(owner) if owner else ((), ())
        self.user = settings.nats_user or name
        self.broker = SturdyBroker(
            settings.nats_url,
            name=name,
            security=security(settings),
            inbox_prefix=inbox(self.user),
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,
            connect_timeout=2,
            ping_interval=5,
            max_outstanding_pings=2,
            report=self._on_error,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_reconnect,
            logger=None,
            middlewares=[TrafficMetrics] if owner else [],
        )
        self._publish_health = PublishHealth()
        self._stopping = False
        self._online = asyncio.Event()
        self._refused: str | None = None
        self._logged: str | None = None
        self.refusals = Refusals(self.user)
        self._reconnected: list[Callable[[], None]] = []
        self._declaring: asyncio.Task[None] | None = None
        self.generation = 0
        """Rises at every reconnect: users of server-side state compare it, to see whether that state may be lost."""

    @property
    def client(self) -> Client:
        """The connection itself, for core NATS."""
        client: Client = self.broker.connection
        return client

    @property
    def connected(self) -> bool:
        """True while the connection is up."""
        return self._online.is_set()

    @property
    def server(self) -> str:
        """The id of the server's process; it changes with each start of the server."""
        return str(self.client._server_info.get("server_id", ""))  # noqa: SLF001  # nats-py shows it nowhere else

    @property
    def problem(self) -> str | None:
        """The reason for which nothing can be published now, in one line; None where there is none."""
        return self.unstored if self.connected else self._refused or "NATS is away"

    @property
    def unstored(self) -> str | None:
        """The reason for which a connected server does not store a message, in one line; None where it stores all."""
        return self._publish_health.problem

    @property
    def js(self) -> JetStreamContext:
        """JetStream."""
        context: JetStreamContext = self.broker.config.connection_state.stream
        return context

    async def start(self) -> Self:
        """Connect, waiting for the server if it is not up yet, and declare this service's streams and buckets."""
        await self.broker.connect()
        self._publish_health.watch(self.js)
        self._enter()
        await self.declare()
        return self

    def leaving(self) -> None:
        """Stop logging losses of the connection: the service ends."""
        self._stopping = True

    async def stop(self) -> None:
        """Flush published messages and close the connection."""
        self.leaving()
        if self._declaring:
            self._declaring.cancel()
        try:
            await self.broker.stop()
        except NatsError:  # NATS is away: flushing is impossible, but the tries to reconnect must end
            await self.client.close()

    def on_reconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after every reconnect; returns a function that ends that."""
        self._reconnected.append(callback)

        def forget() -> None:
            if callback in self._reconnected:
                self._reconnected.remove(callback)

        return forget

    async def declare(self) -> None:
        """Create or update the streams and buckets that this service owns; tries until the server accepts them."""
        await retry(self._declare_once, "declaring streams failed, trying again", is_permanent=_is_permanent)

    async def _declare_once(self) -> None:
        for stream in self._streams:
            await self.make(stream)
        for bucket in self._buckets:
            await self._declare_bucket(bucket)

    async def make(self, stream: Stream) -> None:
        """Create a stream, or update it to its declaration.

        Raises:
            nats.errors.Error, TimeoutError, OSError: the server refuses, or does not answer.
        """
        config = to_config(stream)
        try:
            await self.js.add_stream(config)
        except BadRequestError as error:
            if error.err_code != _NAME_IN_USE:
                raise
            await self.js.update_stream(config)

    async def remove(self, stream: Stream) -> None:
        """Delete a stream with its consumers; a missing one is no error.

        Raises:
            nats.errors.Error, TimeoutError, OSError: the server refuses, or does not answer.
        """
        with suppress(NotFoundError):
            await self.js.delete_stream(stream.name)

    async def publish(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None, msg_id: str | None = None
    ) -> PubAck:
        """Publish to JetStream and wait until it is stored, through any outage of the broker.

        Args:
            subject: a subject of a stream.
            payload: the message's bytes.
            headers: the message's headers.
            msg_id: JetStream's deduplication key, `{run}/{id}`.

        Raises:
            StreamFull: a discard-new stream has no room now.
            nats.errors.MaxPayloadError: the message is larger than the server accepts.
            nats.js.errors.APIError: the server refuses it for good.
        """
        # Not by `retry`, which stops where its task is cancelled: the end of a session is published by such a task.
        backoff, logged = Backoff(), False
        while True:
            await self._online.wait()
            try:
                return await self.try_publish(subject, payload, headers=headers, msg_id=msg_id)
            except (NoStreamResponseError, NoRespondersError):
                self._declare_soon()  # the stream is gone: its owner creates it again, and that may be this service
                problem = "no stream takes this subject yet"
            except (ServiceUnavailableError, NatsError, TimeoutError, OSError) as error:
                if _is_permanent(error):
                    raise
                problem = _message(error)
            if not logged:
                log.warning("publishing waits", subject=subject, reason=problem)
                logged = True
            await backoff.wait()

    async def try_publish(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None, msg_id: str | None = None
    ) -> PubAck:
        """Publish once.

        Raises:
            StreamFull: a discard-new stream has no room now.
            nats.errors.MaxPayloadError: the message is larger than the server accepts.
            nats.errors.Error, TimeoutError: the message may not have been stored.
        """
        fields = dict(headers or {})
        if msg_id is not None:
            fields["Nats-Msg-Id"] = msg_id
        # nats-py measures the payload alone, and a server that receives more than its limit closes the connection.
        if len(payload) + header_size(fields) > self.client.max_payload:
            raise MaxPayloadError
        try:
            return await self.broker.store(subject, payload, fields, within=PUBLISH_TIMEOUT)
        except APIError as error:
            if error.err_code in STREAM_FULL:
                raise StreamFull(f"{subject}: {error.description}") from error
            raise

    async def send(self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None) -> None:
        """Publish to core NATS: at most once, to those who listen now.

        Raises:
            nats.errors.Error: the connection is closed, or its buffer full.
        """
        await self.broker.send(subject, payload, headers)

    async def bucket(self, bucket: Bucket) -> KeyValue:
        """Open a key-value bucket, waiting until its owner has created it."""
        return await retry(
            lambda: self.js.key_value(bucket.name),
            "waiting for a bucket",
            report=log.info,
            bucket=bucket.name,
            owner=bucket.owner,
        )

    async def wait_for(self, stream: Stream) -> None:
        """Wait until a stream's owner has declared it."""
        await retry(
            lambda: self.js.stream_info(stream.name),
            "waiting for a stream",
            report=log.info,
            stream=stream.name,
            owner=stream.owner,
        )

    async def _declare_bucket(self, bucket: Bucket) -> None:
        try:
            known = (await self.js.stream_info(f"KV_{bucket.name}")).config
        except NotFoundError:
            await self.js.create_key_value(
                KeyValueConfig(
                    bucket=bucket.name,
                    history=bucket.history,
                    ttl=bucket.ttl or None,
                    storage=StorageType.MEMORY if bucket.in_memory else StorageType.FILE,
                )
            )
            return
        if (known.max_age or 0, known.max_msgs_per_subject) != (bucket.ttl, bucket.history):
            window = min(known.duplicate_window or bucket.ttl, bucket.ttl) if bucket.ttl else known.duplicate_window
            await self.js.update_stream(
                replace(known, max_age=bucket.ttl, max_msgs_per_subject=bucket.history, duplicate_window=window)
            )

    def _declare_soon(self) -> None:
        if (self._streams or self._buckets) and (self._declaring is None or self._declaring.done()):
            self._declaring = asyncio.get_running_loop().create_task(self.declare(), name="declare streams")

    async def _on_reconnect(self) -> None:
        self.generation += 1
        self._enter()
        log.info("connected to NATS again")
        self._declare_soon()
        for callback in self._reconnected:
            callback()

    async def _on_disconnect(self) -> None:
        self._online.clear()
        if not self._stopping:
            log.warning("NATS is away; reconnecting")

    async def _on_error(self, error: Exception) -> None:
        if self._stopping:
            return
        if isinstance(error, NotPermitted):
            self.refusals.note(error)
        elif self.connected:
            log.warning("NATS connection", error=_message(error))
        elif reason := refusal_of(error, self.user):
            if reason != self._logged:
                log.error("no way into NATS", reason=reason)
            self._refused = self._logged = reason
            await asyncio.sleep(LONGEST_DELAY)  # nats-py waits for this callback, and then tries again
        else:  # during an outage every try to connect fails alike, and the outage is logged already
            self._refused = None
            log.debug("NATS connection", error=_message(error))

    def _enter(self) -> None:
        self._refused = self._logged = None
        self.refusals.forget()
        self._online.set()


def header_size(headers: Mapping[str, str]) -> int:
    """Upper bound of the bytes that headers take on the wire."""
    return sum(len(name.encode()) + len(value.encode()) + len(": \r\n") for name, value in headers.items()) + 16


def _is_permanent(error: Exception) -> bool:
    """Tell whether trying again cannot help."""
    if isinstance(error, APIError):
        return error.code == 400 or error.err_code == _BAD_CONFIG
    return isinstance(error, MaxPayloadError | BadHeaderError | BadSubjectError)


def _message(error: BaseException) -> str:
    return str(error) or type(error).__name__
