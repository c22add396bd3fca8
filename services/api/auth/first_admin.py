"""Users that the operator makes: the first superadmin, and those of `metrica user`."""

from __future__ import annotations

from services.api.auth.passwords.choosing import put_password
from services.api.auth.passwords.hashing import Passwords
from services.api.auth.repository import find_user_by_email, has_users
from services.api.auth.sign_ins import repository as sign_ins
from services.api.clock import utc_now
from services.api.http.texts import without_hidden
from services.api.transaction import writing_at
from services.kit.database.account_tables import User


async def ensure_first_admin(database_url: str, email: str, password: str) -> bool:
    """Create a superadmin if there is no user. Returns whether it did."""
    async with writing_at(database_url, "first start") as session:
        if await has_users(session):
            return False
        hashed = await Passwords().hash(password)
        now = utc_now()
        user = User(email=email.lower(), password_hash=hashed, superadmin=True, created_at=now, verified_at=now)
        session.add(user)
        return True


async def set_password(database_url: str, email: str, password: str, *, superadmin: bool | None = None) -> bool:
    """Set a user's password and end all of their sign-ins; create the user if needed. Returns whether it was created.

    Args:
        superadmin: None leaves it unchanged.

    Raises:
        ValueError: the e-mail address contains characters that are not allowed.
    """
    without_hidden(email)
    hashed = await Passwords().hash(password)
    async with writing_at(database_url) as session:
        user = await find_user_by_email(session, email)
        made = user is None
        if user is None:
            user = User(email=email.lower(), created_at=utc_now())
        user.disabled = False
        user.superadmin = user.superadmin if superadmin is None else superadmin
        if user.superadmin:  # the operator, who has access to the database, vouches for superadmins
            user.verified_at = user.verified_at or utc_now()
        await put_password(session, user, hashed, utc_now())
        await sign_ins.end_all(session, user.id)
        return made
