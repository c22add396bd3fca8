"""A mail server of a test, in its own event loop: what it took, as the addressee would read it."""

from __future__ import annotations

import asyncio
import email
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

SOON = 20.0
_LINK = re.compile(r"http\S+account\.html#\w+=(\S+)")


@dataclass
class Taken:
    """A mail that was taken."""

    recipients: list[str]
    sender: str
    message: EmailMessage
    encrypted: bool

    @property
    def text(self) -> str:
        text = self.message.get_content()
        assert isinstance(text, str)
        return text

    @property
    def link(self) -> str:
        """The whole link in it."""
        found = _LINK.search(self.text)
        assert found is not None, self.text
        return found[0]

    @property
    def token(self) -> str:
        """The text behind `=` in the link."""
        return self.link.rpartition("=")[2]


@dataclass
class PostOffice:
    """The address at which mail is taken, and the server's answer to it."""

    port: int = 0
    taken: asyncio.Queue[Taken] = field(default_factory=asyncio.Queue)
    refusals: list[str] = field(default_factory=list)
    """What the next mails are answered with, in place of being taken."""
    tries: int = 0
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared, the server does not answer to a mail."""

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's
        self.tries += 1
        await self.hold.wait()
        if self.refusals:
            return self.refusals.pop(0)
        assert isinstance(envelope.content, bytes)
        assert server.transport is not None
        encrypted = server.transport.get_extra_info("ssl_object") is not None
        message = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.taken.put_nowait(Taken(list(envelope.rcpt_tos), envelope.mail_from or "", message, encrypted))
        return "250 taken"

    async def next(self) -> Taken:
        """The next mail."""
        async with asyncio.timeout(SOON):
            return await self.taken.get()


@asynccontextmanager
async def post_office(
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
    port: int = 0,
) -> AsyncIterator[PostOffice]:
    """Run a mail server.

    Args:
        starttls: where it offers to encrypt, and takes nothing without.
        tls: where it speaks encrypted only.
        login: the user and password that it wants.
        port: where it listens; 0 takes any.
    """
    office = PostOffice()
    office.hold.set()

    def knows(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object) -> AuthResult:
        said = getattr(data, "login", b"").decode(), getattr(data, "password", b"").decode()
        return AuthResult(success=said == login)

    loop = asyncio.get_running_loop()

    def server() -> SMTP:
        return SMTP(
            office,
            hostname="post.test",
            loop=loop,
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=login is not None,
            auth_require_tls=False,
            authenticator=knows if login else None,
        )

    listening = await loop.create_server(server, "127.0.0.1", port, ssl=tls)
    office.port = listening.sockets[0].getsockname()[1]
    try:
        yield office
    finally:
        office.hold.set()
        listening.close()
        await listening.wait_closed()
