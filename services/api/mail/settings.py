"""Settings of mail: the mail server, the sender, and the URL of links."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from services.api.mail.addresses import parse_address
from services.kit.settings import SealedSettings

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class MailSettings(SealedSettings):
    """Settings of mail. Without METRICA_SMTP_HOST no mail is sent, and `metrica user` prints links."""

    public_url: str | None = None
    """URL of the dashboard, as https://counts.shop.example. Links begin with it; a request's Host is not trusted."""
    smtp_host: str | None = None
    smtp_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """By default 587 with STARTTLS, 465 with TLS, and 25 without."""
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    """Encryption: after the greeting, from the first byte, or none."""
    smtp_tls_ca: Path | None = None
    """CA certificates for the mail server; by default those of this machine."""
    mail_from: str | None = None
    """The sender, as `Metrica <metrica@shop.example>`."""

    @property
    def mails(self) -> bool:
        """Tell whether mail is sent."""
        return self.smtp_host is not None

    @property
    def smtp_port_used(self) -> int:
        """The port of the mail server."""
        return self.smtp_port or _PORTS[self.smtp_tls]

    @field_validator(
        "public_url", "smtp_host", "smtp_port", "smtp_user", "smtp_password", "smtp_tls_ca", "mail_from", mode="before"
    )
    @classmethod
    def _is_set(cls, value: object) -> object:
        return None if value == "" else value  # compose files pass unset variables as empty ones

    @field_validator("smtp_tls", mode="before")
    @classmethod
    def _has_a_default(cls, value: object) -> object:
        return value or "starttls"

    @field_validator("public_url")
    @classmethod
    def _is_an_address_of_pages(cls, url: str | None) -> str | None:
        return None if url is None else checked_public_url(url)

    @field_validator("mail_from")
    @classmethod
    def _is_a_sender(cls, sender: str | None) -> str | None:
        if sender is not None:
            parse_address(sender)
        return sender

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Self:
        if not self.mails:
            return self
        for name in ("public_url", "mail_from", "secret_key"):
            if getattr(self, name) is None:
                raise ValueError(f"METRICA_SMTP_HOST is set: that takes METRICA_{name.upper()}, too")
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError("METRICA_SMTP_USER and METRICA_SMTP_PASSWORD go together")
        if self.smtp_password is not None and self.smtp_tls == "none" and not _is_here(self.smtp_host or ""):
            raise ValueError(
                "METRICA_SMTP_TLS=none would send METRICA_SMTP_PASSWORD over the network as it is: use starttls or tls"
            )
        return self


def checked_public_url(url: str) -> str:
    """The base URL of links, without a trailing slash.

    Raises:
        ValueError: it is no http or https URL, or has a user name, query or fragment.
    """
    try:
        parts = urlsplit(url)
        plain = parts.port is None or parts.port > 0
    except ValueError:
        plain, parts = False, urlsplit("")
    whole = parts.scheme in {"http", "https"} and parts.hostname and plain
    if not whole or parts.username is not None or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise ValueError("METRICA_PUBLIC_URL is written as https://counts.shop.example")
    return url.rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
