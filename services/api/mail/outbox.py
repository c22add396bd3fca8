"""Outgoing mail: stored in the transaction that causes it, and sent by a loop in each replica.

A mail is sent once; or again, with the same Message-ID, if a replica dies between the mail server's response and the
database's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.clock import Clock
from services.api.database import Sessions
from services.api.http.problems import DATABASE_ERRORS
from services.api.mail import repository
from services.api.mail.messages import Letter, write
from services.api.mail.settings import MailSettings
from services.api.mail.smtp import TIMEOUT, Away, Rejected, Send, sender
from services.api.transaction import committing
from services.kit.database.account_tables import OutgoingMail
from services.kit.logs import logger
from services.kit.retry import retry, stay_cancelled
from services.kit.vault import CannotOpen, Vault

POLL_SECONDS = 5.0
"""Interval for reading the database, for mail of other replicas and for retries."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=10)
TAKEN_FOR = timedelta(seconds=6 * TIMEOUT)
"""Time for which a mail is locked by a replica: longer than a mail server may take. Then another replica sends it."""

log = logger()

Prepare = Callable[[AsyncSession, OutgoingMail], Awaitable[Letter | None]]
"""Writes the letter of a requested mail; None if there is no account to write to."""


class Outbox:
    """Stores mail, and sends it.

    Args:
        prepare: writes requested letters.
        send: sends a mail; by default through the mail server of the settings.
    """

    def __init__(
        self,
        sessions: Sessions,
        settings: MailSettings,
        vault: Vault,
        clock: Clock,
        prepare: Prepare,
        send: Send | None = None,
    ) -> None:
        self._sessions, self._settings, self._vault = sessions, settings, vault
        self._clock, self._prepare = clock, prepare
        self._send = send or (sender(settings) if settings.mails else None)
        self._wake = asyncio.Event()

    def put(self, session: AsyncSession, recipient: str, letter: Letter, about: UUID | None, expires: datetime) -> None:
        """Send a letter once the transaction is committed. Without a mail server, this does nothing.

        Args:
            recipient: a plain address.
            about: id of the object that the letter is about; see `repository.withdraw`.
            expires: time after which it is not sent.
        """
        if self._settings.mails:
            session.add(self._row(recipient, expires, sealed=self._seal(letter), about=about))

    def ask(self, session: AsyncSession, recipient: str, expires: datetime) -> None:
        """Request a letter to an address, which the loop writes with `prepare`."""
        if self._settings.mails:
            session.add(self._row(recipient, expires))

    def wake(self) -> None:
        """Send due mail now."""
        self._wake.set()

    async def run(self) -> None:
        """Send mail until cancelled."""
        if self._send is None:
            return
        send = self._send
        while True:
            stay_cancelled()
            self._wake.clear()
            await retry(
                lambda: self._send_due(send), "mail waits for the database", on=DATABASE_ERRORS, report=log.info
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()

    async def _send_due(self, send: Send) -> None:
        while await self._send_next(send):
            pass

    async def _send_next(self, send: Send) -> bool:
        """Send the next due mail. Returns whether there was one."""
        async with committing(self._sessions) as session:
            mail = await repository.take(session, self._clock(), TAKEN_FOR)
            if mail is None:
                return False
            letter = await self._letter(session, mail)
            if letter is None:
                await session.delete(mail)
                return True
        message = write(letter, self._settings.mail_from or "", mail.recipient, mail.id, self._clock())
        try:
            await send(message, mail.recipient)
        except Rejected as error:
            log.error("the mail server refused a mail; it is given up", about=str(mail.about), error=str(error))
        except Away as error:
            await self._try_later(mail, str(error))
            return True
        async with committing(self._sessions) as session:
            await repository.forget(session, mail.id)
        return True

    async def _letter(self, session: AsyncSession, mail: OutgoingMail) -> Letter | None:
        if mail.expires_at <= self._clock():
            log.error("a mail was given up: its link has expired", about=str(mail.about), attempts=mail.attempts - 1)
            return None
        if mail.sealed is None:
            letter = await self._prepare(session, mail)
            if letter is not None:
                mail.sealed = self._seal(letter)
                session.add(mail)
            return letter
        try:
            subject, text = json.loads(self._vault.open(mail.sealed))
        except CannotOpen as error:
            log.error("a mail was given up", about=str(mail.about), error=str(error))
            return None
        return Letter(subject, text)

    async def _try_later(self, mail: OutgoingMail, reason: str) -> None:
        pause = min(FIRST_PAUSE * 2 ** min(mail.attempts - 1, 10), LONGEST_PAUSE)
        log.warning("a mail is tried again later", after=pause.total_seconds(), attempts=mail.attempts, error=reason)
        async with committing(self._sessions) as session:
            await repository.put_off(session, mail.id, self._clock() + pause)

    def _seal(self, letter: Letter) -> str:
        return self._vault.seal(json.dumps([letter.subject, letter.text]))

    def _row(
        self, recipient: str, expires: datetime, *, sealed: str | None = None, about: UUID | None = None
    ) -> OutgoingMail:
        return OutgoingMail(recipient=recipient, sealed=sealed, about=about, next_at=self._clock(), expires_at=expires)
