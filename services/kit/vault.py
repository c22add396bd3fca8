"""Encryption of secrets at rest, in databases and KV buckets: passwords of cameras, signing keys.

The key is derived from METRICA_SECRET_KEY, which is stored in neither: a backup of the database or of NATS alone gives
no secret away. To change it, write the new one before the old one, with a comma between: the first seals, all of them
open.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

MARK = "sealed:"
"""Prefix of every sealed text."""
_SHORTEST = 20


class CannotOpen(ValueError):
    """A text was sealed with another secret key, or this process has no key. The message says what to do."""


class Vault:
    """Seals and opens texts.

    Args:
        secret_key: METRICA_SECRET_KEY. With None, sealing and opening raise `CannotOpen`, and texts that are not
            sealed pass unchanged.

    Raises:
        ValueError: a secret key is too short.
    """

    def __init__(self, secret_key: str | None) -> None:
        secrets = [part.strip() for part in (secret_key or "").split(",") if part.strip()]
        if any(len(secret) < _SHORTEST for secret in secrets):
            raise ValueError(f"METRICA_SECRET_KEY is shorter than {_SHORTEST} characters: `openssl rand -hex 32`")
        self._fernet = _fernet(secrets) if secrets else None
        self._marks = [hmac.digest(secret.encode(), b"metrica/mark/1", hashlib.sha256) for secret in secrets]

    @property
    def usable(self) -> bool:
        """True where a secret key is set."""
        return self._fernet is not None

    def seal(self, text: str) -> str:
        """Encrypt a text.

        Raises:
            CannotOpen: there is no secret key.
        """
        if self._fernet is None:
            raise CannotOpen("METRICA_SECRET_KEY is not set, and what is secret is kept only sealed with it")
        return MARK + self._fernet.encrypt(text.encode()).decode()

    def mark(self, text: str) -> str:
        """A keyed digest (HMAC-SHA-256) of a text, to compare texts by. Without the key no guess can be checked by it.

        Raises:
            CannotOpen: there is no secret key.
        """
        if not self._marks:
            raise CannotOpen("METRICA_SECRET_KEY is not set, and what is secret is compared only with it")
        return hmac.new(self._marks[0], text.encode(), hashlib.sha256).hexdigest()

    def is_marked(self, text: str, mark: str) -> bool:
        """Tell whether a mark is the text's, made with any of the secret keys."""
        candidates = (hmac.new(key, text.encode(), hashlib.sha256).hexdigest() for key in self._marks)
        return any(hmac.compare_digest(candidate, mark) for candidate in candidates)

    def open(self, text: str) -> str:
        """Decrypt a sealed text; any other text is returned unchanged.

        Raises:
            CannotOpen: it was sealed with another secret key, or there is none here.
        """
        if not is_sealed(text):
            return text
        from cryptography.fernet import InvalidToken

        if self._fernet is None:
            raise CannotOpen("it is sealed, and METRICA_SECRET_KEY is not set here")
        try:
            return self._fernet.decrypt(text.removeprefix(MARK)).decode()
        except InvalidToken:
            raise CannotOpen("it was sealed with another METRICA_SECRET_KEY: set that one, or say it anew") from None


def is_sealed(text: str) -> bool:
    """Tell whether a text is sealed."""
    return text.startswith(MARK)


def _fernet(secrets: Sequence[str]) -> MultiFernet:
    # cryptography takes a tenth of a second to import, and most processes seal nothing.
    from cryptography.fernet import Fernet, MultiFernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    def derive(secret: str) -> bytes:
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"metrica/vault/1").derive(secret.encode())
        return base64.urlsafe_b64encode(key)

    return MultiFernet([Fernet(derive(secret)) for secret in secrets])
