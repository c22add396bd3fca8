"""A guarded connection: uvicorn's HTTP/1.1 protocol, with a time limit on everything that the client can delay."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, ClassVar, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from services.kit.http.limits import ENDED, Guard, Why
from services.kit.network.client_addresses import network_of
from services.kit.network.trusted_proxies import TrustedProxies

STALLED_FOR = 5.0
"""Seconds without progress after which a connection with an unread answer may be ended for a new one."""
TICKS = 4
"""Checks of a limit within its own length: it is kept to a quarter of it."""

# Malformed requests are counted, rather than logged one by one.
_log = logging.getLogger("uvicorn.error.requests")
_log.setLevel(logging.ERROR)


class Phase(Enum):
    """State of a connection."""

    HEAD = auto()
    """Waits for the first request, or for the rest of a request's head."""
    BODY = auto()
    """Waits for the rest of a request's body."""
    ANSWER = auto()
    """Waits for the application."""
    IDLE = auto()
    """Waits for the next request."""


class CountingTransport(asyncio.Transport):
    """A transport that counts the bytes that the system has taken."""

    def __init__(self, inner: asyncio.Transport) -> None:
        super().__init__()
        self._inner = inner
        self._written = 0
        # These are called for each chunk, so they go straight to the transport.
        self.is_closing = inner.is_closing  # type: ignore[method-assign]
        self.pause_reading = inner.pause_reading  # type: ignore[method-assign]
        self.resume_reading = inner.resume_reading  # type: ignore[method-assign]
        self.get_write_buffer_size = inner.get_write_buffer_size  # type: ignore[method-assign]
        self.get_extra_info = inner.get_extra_info  # type: ignore[method-assign]
        self.close = inner.close  # type: ignore[method-assign]
        self.abort = inner.abort  # type: ignore[method-assign]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write."""
        self._written += len(data)
        self._inner.write(data)

    @property
    def sent(self) -> int:
        """Bytes written, less the bytes that wait in the buffer."""
        return self._written - self._inner.get_write_buffer_size()


class BoundedConnection(h11.Connection):
    """An h11 connection with limits on heads and bodies; calls back for each head and each end of a message."""

    def __init__(self, guard: Guard, notice: Callable[[h11.Event], None]) -> None:
        super().__init__(h11.SERVER, guard.limits.head_bytes)
        self._limits, self._notice = guard.limits, notice
        self._body = 0
        self.refused_with = HTTPStatus.BAD_REQUEST

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next event.

        Raises:
            h11.RemoteProtocolError: the client sent no HTTP, or too much.
        """
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            self.refused_with = HTTPStatus(error.error_status_hint)
            raise
        if isinstance(event, h11.Request):
            self._body = 0
            size = len(event.target) + sum(len(name) + len(value) + 4 for name, value in event.headers)
            if size > self._limits.head_bytes or len(event.headers) > self._limits.headers:
                self._refuse("The request's head is too large.", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif isinstance(event, h11.Data):
            self._body += len(event.data)
            if self._body > self._limits.body_bytes:
                self._refuse("The body is too large.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if isinstance(event, h11.Request | h11.EndOfMessage):
            self._notice(event)
        return event

    def _refuse(self, why: str, status: HTTPStatus) -> None:
        self.refused_with = status
        raise h11.RemoteProtocolError(why, error_status_hint=status)


class GuardedProtocol(H11Protocol):
    """A connection within the limits of its guard."""

    guard: ClassVar[Guard]
    proxies: ClassVar[TrustedProxies]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = self._bounded = BoundedConnection(self.guard, self._on_event)
        self.logger = _log
        self._phase, self._since = Phase.HEAD, self.loop.time()
        self._deadline: float | None = None
        self._sent, self._moved_at = 0, self._since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin: the client has to send a head in time."""
        self._outgoing = CountingTransport(transport)
        super().connection_made(self._outgoing)
        self._enter(Phase.HEAD, self.guard.limits.head_seconds)
        peer = self.client[0] if self.client else ""
        self.guard.admit(self, network_of(peer), bounded=not self.proxies.trusts(peer))

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.guard.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; the first byte of a next request starts the time limit for its head."""
        if self.transport.is_closing():
            return
        if self._phase is Phase.IDLE:
            self._enter(Phase.HEAD, self.guard.limits.head_seconds)
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of a body that the application did not read."""
        if self._phase is Phase.ANSWER:
            self._enter(Phase.IDLE, self.guard.limits.keep_alive_seconds + 1)  # should uvicorn's timer not run
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is no HTTP, or too large."""
        status = self._bounded.refused_with
        detail = "This is no HTTP/1.1 request." if status is HTTPStatus.BAD_REQUEST else msg
        if status is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            most = self.guard.limits
            detail = f"A request's head has at most {most.head_bytes // 1024} KiB and {most.headers} headers."
        elif status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            detail = f"A body has at most {self.guard.limits.body_bytes // 1024} KiB here."
        self._end(status, detail, Why.MALFORMED)

    def shutdown(self) -> None:
        """The server stops."""
        if not self.transport.is_closing():
            super().shutdown()

    @property
    def waits_since(self) -> float | None:
        """The time since which it has waited for its client; see `limits.Connection`."""
        if self.transport.is_closing() or self._phase is not Phase.ANSWER:
            return self._since
        return self._moved_at if self.loop.time() - self._moved_at >= STALLED_FOR and self._unsent() else None

    def make_room(self) -> None:
        """End, to make room for another connection."""
        if self.transport.is_closing() or self._phase in {Phase.ANSWER, Phase.IDLE}:
            ENDED.labels(Why.MADE_ROOM).inc()
            self.transport.abort()
        else:
            self._end(HTTPStatus.REQUEST_TIMEOUT, "Others had to be served: send the request anew.", Why.MADE_ROOM)
            if self._unsent():
                self.transport.abort()
        self.guard.forget(self)  # it counts no longer: the rest of it ends in this turn of the loop

    def refuse(self) -> None:
        """End before the first request."""
        detail = "Too many connections are open. Close some, or try again in some seconds."
        self._end(HTTPStatus.SERVICE_UNAVAILABLE, detail, Why.TOO_MANY)

    def check(self, now: float) -> None:
        """End if its time is up."""
        limits = self.guard.limits
        if not self._unsent() or self._outgoing.sent - self._sent >= limits.stall_bytes:
            self._sent, self._moved_at = self._outgoing.sent, now
        elif now - self._moved_at >= limits.stall_seconds:
            ENDED.labels(Why.STALLED).inc()
            self.transport.abort()
            return
        if self._deadline is None or now < self._deadline or self.transport.is_closing():
            return
        if self._phase is Phase.HEAD:
            detail = f"The request's head was not whole within {limits.head_seconds:g} seconds."
            self._end(HTTPStatus.REQUEST_TIMEOUT, detail, Why.HEAD)
        elif self._phase is Phase.BODY:
            detail = f"The request's body was not whole within {limits.body_seconds:g} seconds."
            self._end(HTTPStatus.REQUEST_TIMEOUT, detail, Why.BODY)
        else:
            self.transport.close()

    def _unsent(self) -> int:
        return self._outgoing.get_write_buffer_size()

    def _enter(self, phase: Phase, seconds: float | None = None) -> None:
        self._phase, self._since = phase, self.loop.time()
        self._deadline = None if seconds is None else self._since + seconds

    def _on_event(self, event: h11.Event) -> None:
        if isinstance(event, h11.Request):
            self._enter(Phase.BODY, self.guard.limits.body_seconds)
        elif self.cycle is not None and self.cycle.response_complete:  # the end of an unread body
            self._enter(Phase.IDLE, self.guard.limits.keep_alive_seconds + 1)
        else:
            self._enter(Phase.ANSWER)

    def _end(self, status: HTTPStatus, detail: str, why: Why) -> None:
        """Send a problem, unless an answer has begun, and close."""
        ENDED.labels(why).inc()
        self._unset_keepalive_if_required()
        pending = self.cycle is not None and not self.cycle.response_complete
        if pending and self.cycle.response_started:
            self.transport.abort()
            return
        if pending:  # the application learns that its client is gone, and what it still sends is dropped
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(_answer(status, detail))
        self.transport.close()


def guarded(guard: Guard, proxies: TrustedProxies) -> type[asyncio.Protocol]:
    """The protocol class for one server, for uvicorn's option `http`."""
    protocol = type("Guarded", (GuardedProtocol,), {"guard": guard, "proxies": proxies})
    return cast("type[asyncio.Protocol]", protocol)


def _answer(status: HTTPStatus, detail: str) -> bytes:
    code = status.phrase.lower().replace(" ", "-")
    problem = {
        "type": f"urn:metrica:problem:{code}",
        "title": status.phrase,
        "status": status,
        "detail": detail,
        "instance": "",
        "code": code,
        "params": {},
    }
    body = json.dumps(problem).encode()
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n"
    )
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        head += "retry-after: 10\r\n"
    return f"{head}\r\n".encode() + body
