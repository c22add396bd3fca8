"""Dependencies of the endpoints of password resets."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from services.api.auth.dependencies import JudgeDep, PasswordsDep
from services.api.dependencies import ClockDep, OutboxDep, SessionsDep, WritableDep
from services.api.resets.service import PasswordResets


def password_resets(
    sessions: SessionsDep,
    writable: WritableDep,
    outbox: OutboxDep,
    judge: JudgeDep,
    passwords: PasswordsDep,
    clock: ClockDep,
) -> PasswordResets:
    """Password resets of the running application."""
    return PasswordResets(sessions, writable, outbox, judge, passwords, clock)


PasswordResetsDep = Annotated[PasswordResets, Depends(password_resets)]
