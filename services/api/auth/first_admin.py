"""Users made from outside of the API: the first superadmin, and whom `metrica user` makes."""

from __future__ import annotations

from sqlmodel import select

from services.api.auth.passwords.choosing import put_password
from services.api.auth.passwords.hashing import Passwords
from services.api.auth.repository import end_sign_ins, find_user_by_email
from services.api.clock import utc_now
from services.api.http.texts import without_hidden
from services.api.transaction import writing_at
from services.kit.database.account_tables import User


async def ensure_first_admin(database_url: str, email: str, password: str) -> bool:
    """Make a superadmin where there is no user at all. Tells whether there was none.

    Args:
        database_url: postgresql://user:password@host:port/database
        email: what to sign in with.
        password: the same.
    """
    async with writing_at(database_url, "first start") as session:
        if (await session.exec(select(User.id).limit(1))).first() is not None:
            return False
        hashed = await Passwords().hash(password)
        now = utc_now()
        user = User(email=email.lower(), password_hash=hashed, superadmin=True, created_at=now, verified_at=now)
        session.add(user)
        return True


async def set_password(database_url: str, email: str, password: str, *, superadmin: bool | None = None) -> bool:
    """Give a user a password, and sign them out everywhere; one who is not there is made. Tells whether one was made.

    Args:
        database_url: postgresql://user:password@host:port/database
        email: what to sign in with.
        password: the same.
        superadmin: None leaves it.

    Raises:
        ValueError: the e-mail address holds what no text may hold.
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
        if user.superadmin:  # whoever reaches the database vouches for whom they make one
            user.verified_at = user.verified_at or utc_now()
        await put_password(session, user, hashed, utc_now())
        await end_sign_ins(session, user.id)
        return made
