"""The connection to NATS: FastStream's broker, with fixes for cases in which it or nats-py hangs; TLS and login."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from faststream.nats import NatsBroker
from faststream.nats.response import NatsPublishCommand
from faststream.nats.security import NatsSecurity, NatsUserPassword
from faststream.response import PublishType
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import PubAck
from nats.protocol.parser import ERR_RE

from services.kit.nats.producers import CoreProducer, JetStreamProducer
from services.kit.settings import ServiceSettings

CLOSE_TIMEOUT = 1.0
_REFUSAL = re.compile(r'Permissions Violation for (\w+)[^"]* "([^"]+)"')


class NotPermitted(NatsError):
    """The server refuses this user an operation, such as `publish to metrica.live.counts.shop`."""


class NotEncrypted(NatsError):
    """TLS is configured here, and the server does not offer it."""


class SturdyClient(Client):
    """nats-py's connection. It loses no cancellation, reports refusals in full, and only its owner closes it."""

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,  # noqa: ASYNC109  # nats-py's own signature
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """Send a request and wait for the answer, or for the task's cancellation.

        nats-py waits with `asyncio.wait_for`, which in Python 3.11 swallows a cancellation that comes together with the
        answer (gh-86296): the task would go on for ever, and so would the task that waits for its end.
        """
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        answer = await super().request(subject, payload, timeout, old_style, headers)
        if task and task.cancelling() > before:
            raise asyncio.CancelledError
        return answer

    async def _process_err(self, err_msg: str) -> None:
        """Report an error of the server, in its own spelling and without closing for good.

        nats-py lower-cases the message, so that subjects are lost, and closes for ever at errors that a restart of the
        server may end.
        """
        match = ERR_RE.match(self._ps.buf)
        reason = match[1].decode().strip("'") if match and match[1] else err_msg
        if refusal := _REFUSAL.match(reason):
            verb = "publish" if refusal[1] == "Publish" else "subscribe"
            await self._error_cb(NotPermitted(f"{verb} to {refusal[2]}"))
        else:
            await self._process_op_err(NatsError(f"nats: {reason}"))

    def _connect_command(self) -> bytes:
        """The first command, which has the password: refused on a plain connection where TLS is configured."""
        if self.options.get("tls") and not self._server_info.get("tls_required"):
            raise NotEncrypted("the server does not offer TLS")
        command: bytes = super()._connect_command()
        return command


class SturdyBroker(NatsBroker):
    """FastStream's broker on a `SturdyClient`; stopping while the server is away is no error.

    Handlers get their message alone: FastStream's dependency injection would take four fifths of a batch's time.

    Args:
        url: the server's address.
        report: called with every error, in place of FastStream's handler, which gives up at a wrong password.
        options: nats-py's and FastStream's.
    """

    def __init__(
        self,
        url: str,
        *,
        report: Callable[[Exception], Awaitable[None]],
        **options: Any,  # noqa: ANN401  # FastStream's own signature
    ) -> None:
        super().__init__(url, apply_types=False, **options)
        self._report = report
        configuration = self.config.broker_config
        configuration.producer, configuration.js_producer = CoreProducer(), JetStreamProducer()

    async def _connect(self) -> Client:
        connection = SturdyClient()
        await connection.connect(**{**self._connection_kwargs, "error_cb": self._report})
        self.config.connect(connection)
        return connection

    async def send(self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Publish to core NATS, at most once, through the middlewares."""
        await self._basic_publish(_command(subject, payload, headers), producer=self.config.producer)

    async def store(self, subject: str, payload: bytes, headers: Mapping[str, str] | None, *, within: float) -> PubAck:
        """Publish to JetStream, through the middlewares, and wait `within` seconds until it is stored."""
        command = _command(subject, payload, headers, within)
        ack: PubAck = await self._basic_publish(command, producer=self.config.js_producer)
        return ack

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        """Flush published messages and close the connection."""
        try:
            await super().stop(exc_type, exc_val, exc_tb)
        except (NatsError, TimeoutError, OSError, ExceptionGroup) as error:  # the group is of its subscribers' errors
            if isinstance(error, ExceptionGroup) and error.split((NatsError, TimeoutError, OSError))[1] is not None:
                raise
            if self._connection is not None:
                with suppress(NatsError, TimeoutError, OSError):
                    async with asyncio.timeout(CLOSE_TIMEOUT):  # a socket whose peer has died may never report it
                        await self._connection.close()


def _command(
    subject: str, payload: bytes, headers: Mapping[str, str] | None, seconds: float = 0.0
) -> NatsPublishCommand:
    return NatsPublishCommand(
        payload, subject=subject, headers=dict(headers or {}), timeout=seconds, _publish_type=PublishType.PUBLISH
    )


def security(settings: ServiceSettings) -> NatsSecurity:
    """The login and the TLS context by the settings.

    Raises:
        ValueError: a certificate or key can't be used; the message names it.
    """
    tls = _tls(settings.nats_tls_ca, settings.nats_tls_cert, settings.nats_tls_key) if settings.nats_tls else None
    if settings.nats_user is None or settings.nats_password is None:
        return NatsSecurity(ssl_context=tls)
    return NatsUserPassword(settings.nats_user, settings.nats_password.get_secret_value(), ssl_context=tls)


def _tls(authority: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise ValueError(f"METRICA_NATS_TLS_CA={authority} holds no certificate that can be read: {error}") from error
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:
            raise ValueError(
                f"METRICA_NATS_TLS_CERT={certificate} and METRICA_NATS_TLS_KEY={key} can't be used: {error}"
            ) from error
    return context


def refusal_of(error: Exception, user: str) -> str | None:
    """The reason for which a reachable server refuses the connection, and the remedy; None where it is just away."""
    if "authorization violation" in str(error).lower():
        return (
            f"NATS refuses the user {user}: METRICA_NATS_USER and METRICA_NATS_PASSWORD are not those of one it knows"
        )
    if isinstance(error, NotEncrypted):
        return (
            "NATS does not offer TLS: set it up there, or leave out METRICA_NATS_TLS_CA and the tls:// of the address"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of NATS is not trusted ({error.verify_message}): METRICA_NATS_TLS_CA must name the "
            "authority that signed it, and METRICA_NATS_URL the host that it is for"
        )
    if isinstance(error, ssl.SSLError):
        return f"no TLS with NATS ({error.reason}): METRICA_NATS_TLS_CERT must be signed by an authority that it trusts"
    return None
