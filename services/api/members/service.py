"""Members of an organization, which its admins manage; users, which superadmins manage."""

from __future__ import annotations

from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Principal, Role, require_superadmin
from services.api.access.repository import readable_organization
from services.api.auth.repository import roles_of
from services.api.auth.sign_ins import repository as sign_ins
from services.api.auth.tokens.repository import revoke_keys_of
from services.api.auth.writing import Edit
from services.api.http.problems import Conflict, NotFound
from services.api.members import repository
from services.api.members.schemas import MemberOut, MemberPatch, UserOut, UserPatch
from services.kit.database.account_tables import Membership, User
from services.kit.database.tables import Organization


async def change_role(session: AsyncSession, edit: Edit, organization: str, user: UUID, body: MemberPatch) -> MemberOut:
    """Change a member's role.

    Raises:
        NotFound: there is no such member.
        Conflict: the organization would have no admin left.
    """
    organization_row, member, membership = await _to_change(session, edit, organization, user)
    if body.role is not Role.ADMIN:
        await _keep_an_admin(session, organization_row, membership, edit.principal)
        await revoke_keys_of(session, user, edit.clock(), organization_row.id)
    membership.role = body.role
    session.add(membership)
    return MemberOut.of(member, membership)


async def remove(session: AsyncSession, edit: Edit, organization: str, user: UUID) -> None:
    """Remove a member as in `change_role`, and revoke the keys that they made; the account stays."""
    organization_row, _, membership = await _to_change(session, edit, organization, user)
    await _keep_an_admin(session, organization_row, membership, edit.principal)
    await revoke_keys_of(session, user, edit.clock(), organization_row.id)
    await session.delete(membership)


async def find_user(session: AsyncSession, principal: Principal, user: UUID) -> User:
    """A user, for a superadmin.

    Raises:
        Forbidden: the principal is no superadmin.
        NotFound: there is no such user.
    """
    require_superadmin(principal)
    row = await repository.find_user(session, user)
    if row is None:
        raise NotFound("There is no user {user}. GET /v1/users lists them.", code="no-such-user", user=user)
    return row


async def change_user(session: AsyncSession, edit: Edit, user: UUID, body: UserPatch) -> UserOut:
    """Change a user.

    Raises:
        Conflict: it would lock the caller out, or the subject is another user's.
    """
    row = await find_user(session, edit.principal, user)
    edit.check(UserOut.of(row))
    if row.id == edit.principal.user and (body.disabled or body.changes.get("superadmin") is False):
        raise Conflict("You would lock yourself out: let another superadmin do it.", code="would-lock-yourself-out")
    unproven = row.verified_at is None and row.password_hash is not None
    if unproven and (body.superadmin or body.subject is not None):
        raise Conflict(
            "Nobody has shown yet that {email} is theirs, and somebody else may know the password: "
            "let a new one be chosen first (`metrica user reset`, or the mail for a forgotten password).",
            code="ownership-not-shown",
            email=row.email,
        )
    subject = body.changes.get("subject")
    if subject is not None and await repository.is_subject_taken(session, subject, row.id):
        raise Conflict("Another user has this subject.", code="subject-taken")
    for name, value in body.changes.items():
        setattr(row, name, value)
    session.add(row)
    if body.disabled:
        await session.flush()
        await sign_ins.end_all(session, row.id)
        await revoke_keys_of(session, row.id, edit.clock())
    elif body.changes.get("superadmin") is False:
        roles, _ = await roles_of(session, row.id)
        remaining = [name for name, role in roles.items() if role is Role.ADMIN]
        await revoke_keys_of(session, row.id, edit.clock(), but=remaining)
    return UserOut.of(row)


async def _to_change(
    session: AsyncSession, edit: Edit, organization: str, user: UUID
) -> tuple[Organization, User, Membership]:
    organization_row = await readable_organization(session, edit.principal, organization, Role.ADMIN)
    member = await repository.find_member(session, organization_row, user)
    if member is None:
        raise NotFound(
            "{user} is no member of {organization}.", code="not-a-member", user=user, organization=organization_row.id
        )
    edit.check(MemberOut.of(*member))
    return organization_row, *member


async def _keep_an_admin(
    session: AsyncSession, organization: Organization, leaving: Membership, principal: Principal
) -> None:
    if leaving.role != Role.ADMIN or principal.superadmin:
        return
    if not await repository.has_other_admin(session, organization, leaving.user):
        raise Conflict(
            "{organization} would have no admin left: make another one first.",
            code="last-admin",
            organization=organization.id,
        )
