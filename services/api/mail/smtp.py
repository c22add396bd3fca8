"""Handing a mail to the mail server."""

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
"""Hands a mail over for one recipient; raises `Refused` or `Away`."""


class Refused(Exception):
    """The mail server will never take this mail."""


class Away(Exception):
    """The mail server cannot take this mail now."""


def sender(settings: MailSettings) -> Send:
    """What sends by the server that the settings name."""
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
                start_tls=tls == "starttls",  # without the server's offer to encrypt, nothing is sent
                tls_context=context,
            )
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPDataError) as error:
            code, said = _answer(error)
            raise (Refused if code in _PERMANENT else Away)(f"{code} {said}") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Away(f"{type(error).__name__}: {error}") from error

    return send


def _answer(error: aiosmtplib.SMTPException) -> tuple[int, str]:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    assert isinstance(error, aiosmtplib.SMTPResponseException)
    return error.code, error.message
