"""The data of the API's tests: two organizations, each with people, a store, a camera and keys.

acme    viewer@acme  manager@acme  admin@acme    shop (Europe/Paris), camera door, line entrance
other   admin@other                              mall, camera gate, line entrance
        root@metrica, a superadmin
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from uuid import NAMESPACE_URL, UUID, uuid5

import jwt
from argon2 import PasswordHasher
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth.tokens.access_tokens import own_claims
from services.api.auth.tokens.api_keys import draw_key
from services.api.auth.tokens.repository import WORKER
from services.api.auth.tokens.signing_keys import make_key
from services.kit.database.account_tables import ApiKey, Membership, RefreshToken, SigningKey, User
from services.kit.database.sign_in_tables import SignIn
from services.kit.database.tables import Camera, Line, Organization, Store
from tests.api.served import VAULT

PASSWORD = "correct horse battery"
KID, PRIVATE, PUBLIC = make_key()
ROLES = {"viewer@acme": "viewer", "manager@acme": "manager", "admin@acme": "admin", "admin@other": "admin"}
ROOT = "root@metrica"
PEOPLE = (*ROLES, ROOT)


@dataclass
class Seed:
    """The ids and keys that were made."""

    now: datetime
    keys: dict[str, str] = field(default_factory=dict)
    """The texts of keys, by their names."""
    key_ids: dict[str, UUID] = field(default_factory=dict)

    def user(self, email: str) -> UUID:
        """A person's id."""
        return uuid5(NAMESPACE_URL, email)

    def sign_in(self, email: str) -> UUID:
        """The sign-in that a person's token is of."""
        return uuid5(NAMESPACE_URL, f"sign-in of {email}")

    def token(self, email: str, *, at: datetime | None = None, **claims: object) -> str:
        """An access token of a person, issued at a moment (now, unless told), with some claims changed."""
        said = {**own_claims(self.user(email), self.sign_in(email), at or self.now), **claims}
        return jwt.encode(said, PRIVATE, "ES256", headers={"kid": KID})

    def headers(self, email: str) -> dict[str, str]:
        """The headers of a person's requests."""
        return {"Authorization": f"Bearer {self.token(email)}"}


async def make(session: AsyncSession, now: datetime) -> Seed:
    """Make it all."""
    seed = Seed(now)
    session.add(SigningKey(kid=KID, sealed=VAULT.seal(PRIVATE), public=PUBLIC, created_at=now))
    hashed = _hashed(PASSWORD)
    for email in PEOPLE:
        user = User(
            id=seed.user(email), email=email, password_hash=hashed, superadmin=email == ROOT, created_at=now,
            verified_at=now,
        )  # fmt: skip
        session.add(user)
        await session.flush()
        session.add(
            SignIn(
                id=seed.sign_in(email), user=user.id, began_at=now, last_used_at=now, ends_at=now + timedelta(days=30),
                browser=False, agent="tests", address="127.0.0.1",
            )
        )  # fmt: skip
        await session.flush()
        session.add(
            RefreshToken(
                hash=email,
                family=seed.sign_in(email),
                user=user.id,
                issued_at=now,
                expires_at=now + timedelta(days=30),
            )
        )
    for organization, store, camera in (("acme", "shop", "door"), ("other", "mall", "gate")):
        session.add(Organization(id=organization, name=organization.title()))
        await session.flush()
        session.add(Store(id=store, organization=organization, name=store.title(), time_zone="Europe/Paris"))
        await session.flush()
        await add_camera(session, store, camera)
        for name, role, bound in (
            (f"{organization}-reader", "viewer", None),
            (f"{organization}-worker", WORKER, store),
        ):
            drawn = draw_key(role)
            key = ApiKey(
                organization=organization, store=bound, name=name, role=role, prefix=drawn.prefix, hash=drawn.hash,
                created_at=now,
            )  # fmt: skip
            session.add(key)
            seed.keys[name], seed.key_ids[name] = drawn.text, key.id
    for email, role in ROLES.items():
        session.add(Membership(user=seed.user(email), organization=email.partition("@")[2], role=role))
    return seed


@cache
def _hashed(password: str) -> str:
    """As cheap as argon2 can be: a hash says itself what it takes to check."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)


async def add_camera(session: AsyncSession, store: str, camera: str) -> None:
    """A camera with a line."""
    session.add(Camera(id=camera, store=store, address="sim://door", model="motion", policy="latest"))
    await session.flush()
    session.add(Line(camera=camera, id="entrance", x1=0.5, y1=0, x2=0.5, y2=1, in_side="right", anchor="center"))
    await session.flush()
