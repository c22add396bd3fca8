"""Who may do what: members of an organization by its admins, users by superadmins."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access import Principal, Role, readable_organization, require_superadmin
from services.api.auth.repository import end_sign_ins, roles_of
from services.api.auth.tokens.api_keys import revoke_keys_of
from services.api.clock import Clock
from services.api.http import etags
from services.api.http.pagination import Asked
from services.api.http.problems import Conflict, NotFound
from services.api.members.schemas import MemberOut, MemberPatch, UserOut, UserPatch
from services.kit.database.account_tables import Membership, User
from services.kit.database.tables import Organization


async def list_members(
    session: AsyncSession, principal: Principal, organization: str, page: Asked
) -> tuple[list[MemberOut], str | None]:
    """The members of an organization, by their ids."""
    found = await readable_organization(session, principal, organization, Role.ADMIN)
    query = select(Membership).where(Membership.organization == found.id)
    rows, after = await page.read(session, query, col(Membership.user), UUID)
    users = (await session.exec(select(User).where(col(User.id).in_([row.user for row in rows])))).all()
    by_id = {user.id: user for user in users}
    return [MemberOut.of(by_id[row.user], row) for row in rows], after


async def change_role(
    session: AsyncSession,
    principal: Principal,
    organization: str,
    user: UUID,
    wanted: MemberPatch,
    if_match: str | None,
    clock: Clock,
) -> MemberOut:
    """Give a member another role. An organization keeps at least one admin."""
    found = await readable_organization(session, principal, organization, Role.ADMIN)
    member, membership = await _find(session, found, user)
    etags.check(if_match, MemberOut.of(member, membership))
    if wanted.role is not Role.ADMIN:
        await _keep_an_admin(session, found, membership, principal)
        await revoke_keys_of(session, user, clock(), found.id)
    membership.role = wanted.role
    session.add(membership)
    return MemberOut.of(member, membership)


async def remove(
    session: AsyncSession, principal: Principal, organization: str, user: UUID, if_match: str | None, clock: Clock
) -> None:
    """Let a member go, with the keys that they made; the account stays."""
    found = await readable_organization(session, principal, organization, Role.ADMIN)
    member, membership = await _find(session, found, user)
    etags.check(if_match, MemberOut.of(member, membership))
    await _keep_an_admin(session, found, membership, principal)
    await revoke_keys_of(session, user, clock(), found.id)
    await session.delete(membership)


async def list_users(session: AsyncSession, principal: Principal, page: Asked) -> tuple[list[UserOut], str | None]:
    """All users, by their ids."""
    require_superadmin(principal)
    rows, after = await page.read(session, select(User), col(User.id), UUID)
    return [UserOut.of(row) for row in rows], after


async def find_user(session: AsyncSession, principal: Principal, user: UUID) -> User:
    """A user, for a superadmin."""
    require_superadmin(principal)
    found = await session.get(User, user)
    if found is None:
        raise NotFound(f"There is no user {user}. GET /v1/users lists them.")
    return found


async def change_user(
    session: AsyncSession, principal: Principal, user: UUID, wanted: UserPatch, if_match: str | None, clock: Clock
) -> UserOut:
    """Change a user.

    Raises:
        Conflict: it would lock the caller out, or the subject is another user's.
    """
    found = await find_user(session, principal, user)
    etags.check(if_match, UserOut.of(found))
    if found.id == principal.user and (wanted.disabled or wanted.said.get("superadmin") is False):
        raise Conflict("You would lock yourself out: let another superadmin do it.")
    unproven = found.verified_at is None and found.password_hash is not None
    if unproven and (wanted.superadmin or wanted.subject is not None):
        raise Conflict(
            f"Nobody has shown yet that {found.email} is theirs, and somebody else may know the password: "
            "let a new one be chosen first (`metrica user reset`, or the mail for a forgotten password)."
        )
    subject = wanted.said.get("subject")
    if subject is not None:
        other = (await session.exec(select(User.id).where(User.subject == subject, User.id != found.id))).first()
        if other is not None:
            raise Conflict("Another user has this subject.")
    for name, value in wanted.said.items():
        setattr(found, name, value)
    session.add(found)
    if wanted.disabled:
        await session.flush()
        await end_sign_ins(session, found.id)
        await revoke_keys_of(session, found.id, clock())
    elif wanted.said.get("superadmin") is False:
        roles, _ = await roles_of(session, found.id)
        still = [name for name, role in roles.items() if role is Role.ADMIN]
        await revoke_keys_of(session, found.id, clock(), but=still)
    return UserOut.of(found)


async def _find(session: AsyncSession, organization: Organization, user: UUID) -> tuple[User, Membership]:
    query = select(User, Membership).where(
        User.id == Membership.user, Membership.user == user, Membership.organization == organization.id
    )
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound(f"{user} is no member of {organization.id}.")
    return found


async def _keep_an_admin(
    session: AsyncSession, organization: Organization, leaving: Membership, principal: Principal
) -> None:
    if leaving.role != Role.ADMIN or principal.superadmin:
        return
    query = select(Membership.user).where(
        Membership.organization == organization.id, Membership.role == Role.ADMIN, Membership.user != leaving.user
    )
    if (await session.exec(query.limit(1))).first() is None:
        raise Conflict(f"{organization.id} would have no admin left: make another one first.")
