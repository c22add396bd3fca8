"""Mail that tells an account's owner of a changed password."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.mail import messages
from services.api.mail.addresses import is_plain_address
from services.api.mail.outbox import Outbox
from services.kit.database.account_tables import User

NOTICE_LIFE = timedelta(days=1)


def put_change_notice(outbox: Outbox, session: AsyncSession, user: User, now: datetime) -> None:
    """Send the notice once the transaction is committed, where the account's address can receive mail."""
    if is_plain_address(user.email):
        outbox.put(session, user.email, messages.changed(user.name), None, now + NOTICE_LIFE)
