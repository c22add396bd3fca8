"""Dependencies of the endpoints of invitations."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from services.api.auth.dependencies import GuestDep, JudgeDep, PasswordsDep
from services.api.dependencies import ClockDep, SessionsDep, WritableDep
from services.api.invitations.accepting import Acceptance


def acceptance(
    guest: GuestDep,
    sessions: SessionsDep,
    writable: WritableDep,
    judge: JudgeDep,
    passwords: PasswordsDep,
    clock: ClockDep,
) -> Acceptance:
    """Acceptance of an invitation by the sender of this request."""
    return Acceptance(guest, sessions, writable, judge, passwords, clock)


AcceptanceDep = Annotated[Acceptance, Depends(acceptance)]
