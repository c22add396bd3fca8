"""Texts of mails: plain text, independent of the recipient's account."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from uuid import UUID

from services.api.mail.addresses import parse_address


@dataclass(frozen=True, slots=True)
class Letter:
    """A subject and a text."""

    subject: str
    text: str


def invitation(name: str, organization: str, role: str, link: str) -> Letter:
    """An invitation to an organization. It leaves out the inviter, whose name could carry a message."""
    organization = one_line(organization)
    return Letter(
        f"You are invited to {organization} on Metrica",
        f"{_greet(name)}\n\nYou are invited to {organization} on Metrica, as {role}. Metrica counts the people who "
        f"enter and leave shops.\n\nOpen this link within 24 hours to see who invited you and to accept:\n\n{link}\n\n"
        "It works once. If you do not know what this is about, do nothing: then nothing happens.\n",
    )


def reset(name: str, link: str) -> Letter:
    """A link for choosing a new password."""
    return Letter(
        "Choose a new password for Metrica",
        f"{_greet(name)}\n\nSomebody, probably you, asked for a new password for Metrica. Open this link within an "
        f"hour to choose one:\n\n{link}\n\nIt works once, and all your sign-ins end then. If it was not you, do "
        "nothing: your password stays as it is.\n",
    )


def changed(name: str) -> Letter:
    """A notice of a changed password."""
    return Letter(
        "Your password for Metrica was changed",
        f"{_greet(name)}\n\nYour password for Metrica was changed a moment ago, and your other sign-ins have ended.\n\n"
        'If it was not you, choose a new one at once: "Forgotten your password?" where one signs in.\n',
    )


def write(letter: Letter, sender: str, recipient: str, mail: UUID, at: datetime) -> EmailMessage:
    """A complete mail.

    Args:
        recipient: a plain address.
        mail: id of the mail, for a Message-ID that stays the same when it is sent again.
    """
    from_ = parse_address(sender)
    message = EmailMessage(policy=SMTP)
    message["Subject"] = letter.subject
    message["From"] = from_
    message["To"] = Address(addr_spec=recipient)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{mail}@{from_.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: suppresses automatic replies
    message.set_content(letter.text)
    return message


def one_line(text: str) -> str:
    """A name on one line, without characters that change the direction of writing or form a link."""
    plain = "".join(" " if _begins_something(letter) else letter for letter in text).replace(".", ". ")
    return " ".join(plain.split())


def _begins_something(letter: str) -> bool:
    return unicodedata.category(letter).startswith(("C", "Z")) or letter in "/:@<>\\"


def _greet(name: str) -> str:
    name = one_line(name)
    return f"Hello {name}," if name else "Hello,"
