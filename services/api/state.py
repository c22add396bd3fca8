"""The parts of the running API."""

from __future__ import annotations

from dataclasses import dataclass

from services.api.auth.passwords.hashing import Passwords
from services.api.auth.passwords.strength import Judge
from services.api.auth.second_factor.factors import SecondFactors
from services.api.auth.service import SignIns
from services.api.auth.tokens.access_tokens import Verifier
from services.api.auth.tokens.signing_keys import SigningKeys
from services.api.change_quota import Changes
from services.api.clock import Clock
from services.api.database import Sessions
from services.api.live.feed import Feed
from services.api.live.hub import Hub
from services.api.live.statuses import Statuses
from services.api.mail.outbox import Outbox
from services.api.quotas import Quotas
from services.api.settings import ApiSettings
from services.kit.nats.bus import Bus
from services.kit.service import Health
from services.kit.vault import Vault


@dataclass(frozen=True, slots=True)
class Parts:
    """Made once by `services.api.app`."""

    settings: ApiSettings
    bus: Bus
    health: Health
    sessions: Sessions
    """For reading: each transaction is one consistent picture."""
    writable: Sessions
    """For changing: each statement sees what was committed before it."""
    statuses: Statuses
    hub: Hub
    feed: Feed
    clock: Clock
    vault: Vault
    passwords: Passwords
    judge: Judge
    """Of passwords that are chosen."""
    outbox: Outbox
    signing_keys: SigningKeys
    verifier: Verifier
    second_factors: SecondFactors
    sign_ins: SignIns
    changes: Changes
    """How many changes each principal has made of late."""
    quotas: Quotas
    """Shares of exports and live streams."""
