"""`metrica user`: who may sign in to a running Metrica, in its database (METRICA_DATABASE_URL)."""

from __future__ import annotations

from collections.abc import Coroutine
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from services.cli.console.database import DatabaseUrl, checked, run
from services.cli.console.errors import Refused

if TYPE_CHECKING:
    from services.api.members.user_commands import IssuedLink

# A verb's module imports what is heavy inside its functions: see main.py.
app = typer.Typer(help="Invite people to a running Metrica, and let them choose passwords.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="What they sign in with.")]
PublicUrl = Annotated[
    str,
    typer.Option(envvar="METRICA_PUBLIC_URL", help="Where browsers find the dashboard; links begin with it."),
]
AT_HOME = "http://localhost:8080"
T = TypeVar("T")


class RoleName(StrEnum):
    """What somebody may do in an organization."""

    VIEWER = "viewer"
    MANAGER = "manager"
    ADMIN = "admin"


@app.command("invite")
def invite(
    email: Email,
    *,
    organization: Annotated[str, typer.Option(help="Whose member they become, by its id.")],
    role: Annotated[
        RoleName | None, typer.Option(help="What they may do. Left out, as the invitation says that is pending.")
    ] = None,
    name: Annotated[str, typer.Option(help="What they are called.")] = "",
    database_url: DatabaseUrl = "",
    public_url: PublicUrl = AT_HOME,
) -> None:
    """Print a link by which somebody joins an organization: once, within 24 hours. A pending invitation is replaced."""
    from services.api.access import Role
    from services.api.members import user_commands

    said = None if role is None else Role(role.value)
    told = _run(user_commands.invite(checked(database_url), email, organization, said, name))
    _print(f"{email.lower()} joins {organization} by this link", told, public_url)


@app.command("reset")
def reset(email: Email, *, database_url: DatabaseUrl = "", public_url: PublicUrl = AT_HOME) -> None:
    """Print a link by which somebody chooses another password: once, within an hour."""
    from services.api.members import user_commands

    told = _run(user_commands.reset(checked(database_url), email))
    _print(f"{email.lower()} chooses a password by this link", told, public_url)


@app.command("create")
def create(
    email: Email,
    *,
    superadmin: Annotated[bool, typer.Option("--superadmin", help="May do everything in all organizations.")] = False,
    database_url: DatabaseUrl = "",
    public_url: PublicUrl = AT_HOME,
) -> None:
    """Make a user, and print a link by which they choose their password: once, within an hour."""
    from services.api.members import user_commands

    told = _run(user_commands.create(checked(database_url), email, superadmin=superadmin))
    _print(f"user {email.lower()} was made, and chooses a password by this link", told, public_url)


@app.command("list")
def list_users(*, database_url: DatabaseUrl = "") -> None:
    """List who may sign in, and where they are members."""
    from services.api.members import user_commands

    for one in _run(user_commands.list_users(checked(database_url))):
        user = one.user
        marks = {
            "superadmin": user.superadmin,
            "disabled": user.disabled,
            "not proven": user.verified_at is None,
            "no password": user.password_hash is None,
        }
        roles = [f"{role} of {organization}" for organization, role in one.roles.items()]
        print(f"{user.email}  {', '.join([*roles, *(mark for mark, applies in marks.items() if applies)])}".rstrip())


@app.command("set")
def set_user(
    email: Email,
    *,
    database_url: DatabaseUrl = "",
    superadmin: Annotated[
        bool | None, typer.Option("--superadmin/--no-superadmin", help="May do everything in all organizations.")
    ] = None,
) -> None:
    """Repair a user, or make one, with a drawn password that is told once. All their sign-ins end.

    Prefer `create` and `reset`: then nobody but the person knows the password.
    """
    from services.api.auth.first_admin import set_password
    from services.api.auth.passwords.hashing import new_password

    if email.count("@") != 1 or any(letter.isspace() for letter in email):
        raise Refused(f"{email!r} is no e-mail address")
    password = new_password()
    made = run(set_password(checked(database_url), email, password, superadmin=superadmin))
    print(f"user {email.lower()}: {'made' if made else 'has a new password'}; it is told this once: {password}")


@app.command("reset-second-factor")
def reset_second_factor(
    email: Annotated[str, typer.Argument(help="What they sign in with.")], *, database_url: DatabaseUrl = ""
) -> None:
    """Remove a lost authenticator app and its recovery codes, once you are sure who asks. All their sign-ins end."""
    from services.api.auth.second_factor.removal import remove_lost_factor

    if not run(remove_lost_factor(checked(database_url), email)):
        raise Refused(f"there is no user {email.lower()} with a second factor")
    print(f"user {email.lower()}: the second factor is removed; they sign in with their password alone")


def _run(work: Coroutine[Any, Any, T]) -> T:
    from services.api.http.problems import Problem

    try:
        return run(work)
    except Problem as problem:
        raise Refused(problem.detail) from problem


def _print(what: str, told: IssuedLink, public_url: str) -> None:
    from services.api.mail.settings import checked_public_url

    try:
        link = told.link.at(checked_public_url(public_url or AT_HOME))
    except ValueError as error:
        raise Refused(str(error)) from error
    print(f"{what}, once, until {told.until:%Y-%m-%d %H:%M} UTC; give it to nobody else:\n{link}")
