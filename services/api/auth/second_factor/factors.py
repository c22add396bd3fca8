"""Second factors: codes of an authenticator app (TOTP, RFC 6238), and recovery codes.

Each code is valid once, across replicas: of two requests with the same code, only one can advance the stored time step,
or delete the row of the recovery code.
"""

from __future__ import annotations

import base64
import re
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import pyotp
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth.second_factor import repository
from services.api.auth.tokens.digest import digest
from services.api.http.problems import Conflict, Unauthorized, Unavailable
from services.kit.database.sign_in_tables import SecondFactor
from services.kit.vault import CannotOpen, Vault

ISSUER = "Metrica"
AROUND = 1
"""Time steps of 30 s by which a phone's clock may differ."""
PENDING_LIFE = timedelta(minutes=15)
"""Time in which a new secret has to be confirmed by a code."""
RECOVERY_CODES, RECOVERY_BYTES = 10, 20
"""Ten codes of 160 bits, which cannot be guessed: an unsalted hash is enough."""
NEEDED, WRONG = "second_factor_needed", "second_factor_wrong"

_OF_APP = re.compile(r"[0-9]{6}")


class CodeKind(StrEnum):
    """CodeKind of a code."""

    APP = "app"
    RECOVERY = "recovery code"


class SecondFactorNeeded(Unauthorized):
    """The password is right, and a code is needed, too."""

    code = NEEDED


class WrongCode(Unauthorized):
    """The code is wrong, or was used before."""

    code = WRONG

    def __init__(self) -> None:
        super().__init__("The code is wrong, or was used before. Wait for the next one, or use a recovery code.")


class SecondFactors:
    """Creates, confirms and checks second factors."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def begin(self, session: AsyncSession, user: UUID, now: datetime) -> str:
        """Create a secret (base32), in force once a code of it is confirmed. A present one stays until then.

        Raises:
            Unavailable: there is no secret key to seal with.
        """
        secret = pyotp.random_base32()
        row = await repository.lock(session, user) or SecondFactor(user=user)
        row.pending, row.pending_at = self._seal(secret), now
        session.add(row)
        await session.flush()
        return secret

    async def confirm(self, session: AsyncSession, user: UUID, code: str, now: datetime) -> list[str]:
        """Put the new secret in force, and return its recovery codes.

        Raises:
            Conflict: no secret was created in the last `PENDING_LIFE`.
            WrongCode: the code is not of the new secret.
        """
        row = await repository.lock(session, user)
        if row is None or row.pending is None or row.pending_at is None or now > row.pending_at + PENDING_LIFE:
            raise Conflict(
                "No second factor was begun in the last quarter of an hour: begin anew.", code="second-factor-not-begun"
            )
        step = _step_of(self._open(row.pending), code, now)
        if step is None:
            raise WrongCode
        row.sealed, row.confirmed_at, row.last_step = row.pending, now, step
        row.pending = row.pending_at = None
        session.add(row)
        await session.flush()
        return await draw_recovery_codes(session, user)

    async def take(self, session: AsyncSession, user: UUID, code: str, now: datetime) -> CodeKind:
        """Use a code up.

        Args:
            session: a transaction; the code is used once it commits.
            code: of the app, or a recovery code; blanks and dashes are ignored.

        Raises:
            WrongCode: the code is wrong, or was used before.
            Unavailable: the secret cannot be decrypted.
        """
        plain = re.sub(r"[\s-]", "", code)
        if _OF_APP.fullmatch(plain) is None:
            if not await repository.take_recovery_code(session, user, digest(plain.upper())):
                raise WrongCode
            return CodeKind.RECOVERY
        row = await repository.find(session, user)
        step = None if row is None or row.sealed is None else _step_of(self._open(row.sealed), plain, now)
        if step is None or not await repository.move_on(session, user, step):
            raise WrongCode
        return CodeKind.APP

    def _seal(self, secret: str) -> str:
        try:
            return self._vault.seal(secret)
        except CannotOpen as error:
            raise Unavailable(
                "There are no second factors here: {error}.", code="no-second-factors-here", error=error
            ) from error

    def _open(self, sealed: str) -> str:
        try:
            return self._vault.open(sealed)
        except CannotOpen as error:
            raise Unavailable(
                "Your authenticator app's secret cannot be read: {error}. A recovery code works; or whoever runs "
                "Metrica removes the second factor: `metrica user reset-second-factor`.",
                code="second-factor-unreadable",
                error=error,
            ) from error


def uri(secret: str, email: str) -> str:
    """The content of the QR code for an authenticator app (otpauth://)."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


async def draw_recovery_codes(session: AsyncSession, user: UUID) -> list[str]:
    """Replace a user's recovery codes by ten new ones, of which only hashes are stored."""
    drawn = [base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)]
    await repository.replace_recovery_codes(session, user, [digest(code) for code in drawn])
    return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in drawn]


def _step_of(secret: str, code: str, now: datetime) -> int | None:
    """The time step of a code, within `AROUND` of the present one; None if it matches none."""
    app = pyotp.TOTP(secret)
    try:
        return app.verify_and_get_timecode(code, for_time=now, valid_window=AROUND)
    except pyotp.OTPVerificationError:
        return None
