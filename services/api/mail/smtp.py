"""Sends a mail through the mail server."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from email.message import EmailMessage

import aiosmtplib

from services.api.mail.settings import MailSettings

TIMEOUT = 20.0
"""Seconds for each answer of the mail server."""
_PERMANENT = range(500, 600)

Send = Callable[[EmailMessage, str], Awaitable[None]]
"""Sends a mail to one recipient; raises `Rejected` or `Away`."""


class Rejected(Exception):
    """Permanent failure: the mail server rejects this mail."""


class Away(Exception):
    """Temporary failure: the mail server cannot be reached, or defers the mail."""


def sender(settings: MailSettings) -> Send:
    """A function that sends through the mail server of the settings."""
    assert settings.smtp_host is not None
    host, port, tls = settings.smtp_host, settings.smtp_port_used, settings.smtp_tls
    secret = settings.smtp_password
    password = None if secret is None else secret.get_secret_value()
    context = None if tls == "none" else ssl.create_default_context(cafile=settings.smtp_tls_ca)

    async def send(message: EmailMessage, recipient: str) -> None:
        try:
            await aiosmtplib.send(
                message,
                sender=message["From"].addresses[0].addr_spec,
                recipients=[recipient],
                hostname=host,
                port=port,
                username=settings.smtp_user,
                password=password,
                timeout=TIMEOUT,
                use_tls=tls == "tls",
                start_tls=tls == "starttls",  # fails if the server does not offer encryption
                tls_context=context,
            )
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPDataError) as error:
            code, reply = _answer(error)
            raise (Rejected if code in _PERMANENT else Away)(f"{code} {reply}") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Away(f"{type(error).__name__}: {error}") from error

    return send


def _answer(error: aiosmtplib.SMTPException) -> tuple[int, str]:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    assert isinstance(error, aiosmtplib.SMTPResponseException)
    return error.code, error.message
