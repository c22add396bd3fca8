"""`metrica user`: users of a running Metrica, in its database (METRICA_DATABASE_URL)."""

from __future__ import annotations

from collections.abc import Coroutine
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from services.cli.console.database import DatabaseUrl, checked, run
from services.cli.console.errors import CommandError

if TYPE_CHECKING:
    from services.api.members.user_commands import IssuedLink

# Heavy packages are imported inside functions: see main.py.
app = typer.Typer(help="Invite people to a running Metrica, and let them choose passwords.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The user's e-mail address.")]
PublicUrl = Annotated[
    str,
    typer.Option(envvar="METRICA_PUBLIC_URL", help="Address of the dashboard for browsers; links begin with it."),
]
LOCAL_URL = "http://localhost:8080"
T = TypeVar("T")


class RoleName(StrEnum):
    """Role of a user in an organization."""

    VIEWER = "viewer"
    MANAGER = "manager"
    ADMIN = "admin"


@app.command("invite")
def invite(
    email: Email,
    *,
    organization: Annotated[str, typer.Option(help="Id of the organization that the user joins.")],
    role: Annotated[
        RoleName | None, typer.Option(help="The user's role there. By default that of a pending invitation.")
    ] = None,
    name: Annotated[str, typer.Option(help="The user's name.")] = "",
    database_url: DatabaseUrl = "",
    public_url: PublicUrl = LOCAL_URL,
) -> None:
    """Print a link to join an organization: valid once, for 24 hours. It replaces a pending invitation."""
    from services.api.access.principal import Role
    from services.api.members import user_commands

    chosen = None if role is None else Role(role.value)
    link = _run(user_commands.invite(checked(database_url), email, organization, chosen, name))
    _print(f"{email.lower()} joins {organization} by this link", link, public_url)


@app.command("reset")
def reset(email: Email, *, database_url: DatabaseUrl = "", public_url: PublicUrl = LOCAL_URL) -> None:
    """Print a link to choose another password: valid once, for an hour."""
    from services.api.members import user_commands

    link = _run(user_commands.reset(checked(database_url), email))
    _print(f"{email.lower()} chooses a password by this link", link, public_url)


@app.command("create")
def create(
    email: Email,
    *,
    superadmin: Annotated[bool, typer.Option("--superadmin", help="Give all rights in all organizations.")] = False,
    database_url: DatabaseUrl = "",
    public_url: PublicUrl = LOCAL_URL,
) -> None:
    """Make a user, and print a link to choose the password: valid once, for an hour."""
    from services.api.members import user_commands

    link = _run(user_commands.create(checked(database_url), email, superadmin=superadmin))
    _print(f"user {email.lower()} was made, and chooses a password by this link", link, public_url)


@app.command("list")
def list_users(*, database_url: DatabaseUrl = "") -> None:
    """List the users with their roles."""
    from services.api.members import user_commands

    for listed in _run(user_commands.list_users(checked(database_url))):
        user = listed.user
        marks = {
            "superadmin": user.superadmin,
            "disabled": user.disabled,
            "not proven": user.verified_at is None,
            "no password": user.password_hash is None,
        }
        roles = [f"{role} of {organization}" for organization, role in listed.roles.items()]
        print(f"{user.email}  {', '.join([*roles, *(mark for mark, applies in marks.items() if applies)])}".rstrip())


@app.command("set")
def set_user(
    email: Email,
    *,
    database_url: DatabaseUrl = "",
    superadmin: Annotated[
        bool | None, typer.Option("--superadmin/--no-superadmin", help="Give or take all rights in all organizations.")
    ] = None,
) -> None:
    """Repair or make a user, with a random password that is printed once. All the user's sign-ins end.

    Prefer `create` and `reset`: then only the user knows the password.
    """
    from services.api.auth.first_admin import set_password
    from services.api.auth.passwords.hashing import new_password

    if email.count("@") != 1 or any(letter.isspace() for letter in email):
        raise CommandError(f"{email!r} is no e-mail address")
    password = new_password()
    made = run(set_password(checked(database_url), email, password, superadmin=superadmin))
    print(f"user {email.lower()}: {'made' if made else 'has a new password'}; it is printed this once: {password}")


@app.command("reset-second-factor")
def reset_second_factor(email: Email, *, database_url: DatabaseUrl = "") -> None:
    """Remove a lost authenticator app and its recovery codes. Make sure of the user's identity. All sign-ins end."""
    from services.api.auth.second_factor.removal import remove_lost_factor

    if not run(remove_lost_factor(checked(database_url), email)):
        raise CommandError(f"there is no user {email.lower()} with a second factor")
    print(f"user {email.lower()}: the second factor is removed; they sign in with their password alone")


def _run(work: Coroutine[Any, Any, T]) -> T:
    from services.api.http.problems import Problem

    try:
        return run(work)
    except Problem as problem:
        raise CommandError(problem.detail) from problem


def _print(what: str, sent: IssuedLink, public_url: str) -> None:
    from services.api.mail.settings import checked_public_url

    try:
        link = sent.link.at(checked_public_url(public_url or LOCAL_URL))
    except ValueError as error:
        raise CommandError(str(error)) from error
    print(f"{what}, once, until {sent.until:%Y-%m-%d %H:%M} UTC; give it to nobody else:\n{link}")
