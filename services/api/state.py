"""The components of the running API."""

from __future__ import annotations

from dataclasses import dataclass

from services.api.auth.authenticator import Authenticator
from services.api.auth.passwords.hashing import Passwords
from services.api.auth.passwords.strength import Judge
from services.api.auth.second_factor.factors import SecondFactors
from services.api.auth.service import SignIns
from services.api.auth.tokens.signing_keys import SigningKeys
from services.api.change_quota import ChangeQuota
from services.api.clock import Clock
from services.api.database import Sessions
from services.api.live.feed import LiveFeed
from services.api.live.hub import Hub
from services.api.mail.outbox import Outbox
from services.api.quotas import Quotas
from services.api.settings import ApiSettings
from services.api.statuses import Statuses
from services.kit.nats.bus import Bus
from services.kit.service import Health
from services.kit.vault import Vault


@dataclass(frozen=True, slots=True)
class AppState:
    """Components that requests share. `services.api.app` makes them once, as `app.state.components`.

    Endpoints receive single ones, by the dependencies of `services.api.dependencies` and of each feature.
    """

    settings: ApiSettings
    bus: Bus
    health: Health
    sessions: Sessions
    """For reading, REPEATABLE READ: a transaction sees one snapshot of the database."""
    writable: Sessions
    """For writing, READ COMMITTED: a statement sees everything that was committed before it."""
    statuses: Statuses
    hub: Hub
    feed: LiveFeed
    clock: Clock
    vault: Vault
    passwords: Passwords
    judge: Judge
    outbox: Outbox
    signing_keys: SigningKeys
    authenticator: Authenticator
    second_factors: SecondFactors
    sign_ins: SignIns
    change_quota: ChangeQuota
    quotas: Quotas
