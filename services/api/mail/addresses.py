"""E-mail addresses that every mail server interprets alike."""

from __future__ import annotations

import re
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Annotated

from pydantic import AfterValidator, Field

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
_PLAIN = re.compile(f"{_LOCAL}@{_DOMAIN}")
_LONGEST, _LONGEST_LOCAL = 254, 64


def plain_address(text: str) -> str:
    """An address in lower case.

    Accepts only addresses without quotes and encoding: they cannot contain a second address or a header, nor letters of
    other alphabets that look like those of another person's address.

    Raises:
        ValueError: it is no such address.
    """
    if not _PLAIN.fullmatch(text) or len(text) > _LONGEST or len(text.partition("@")[0]) > _LONGEST_LOCAL:
        raise ValueError("this is no e-mail address: write it as mara@shop.example, a domain of other letters as xn--…")
    return text.lower()


def is_plain_address(text: str) -> bool:
    """Tell whether a mail can be sent to a stored address as it is."""
    try:
        return plain_address(text) == text
    except ValueError:
        return False


MailAddress = Annotated[str, Field(max_length=_LONGEST, examples=["mara@shop.example"]), AfterValidator(plain_address)]


def parse_address(text: str) -> Address:
    """A sender, as `Metrica <metrica@shop.example>` or the address alone.

    Raises:
        ValueError: it is no sender.
    """
    name, address = parseaddr(text)
    if not text.isprintable():
        raise ValueError("METRICA_MAIL_FROM holds a character that is not printable")
    try:
        return Address(name, addr_spec=plain_address(address))
    except ValueError:
        raise ValueError("METRICA_MAIL_FROM is written as Metrica <metrica@shop.example>") from None
