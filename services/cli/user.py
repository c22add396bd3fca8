"""`metrica user set`: who may sign in to a running Metrica, in its database (METRICA_DATABASE_URL)."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.database import DatabaseUrl, checked, run
from services.cli.errors import Refused

app = typer.Typer(help="Make users of a running Metrica, and give them passwords.", no_args_is_help=True)


@app.command("set")
def set_user(
    email: Annotated[str, typer.Argument(help="What they sign in with.")],
    *,
    database_url: DatabaseUrl = "",
    superadmin: Annotated[
        bool | None, typer.Option("--superadmin/--no-superadmin", help="May do everything in all organizations.")
    ] = None,
) -> None:
    """Make a user, or give one a new password: it is drawn, and told once. All their sign-ins end."""
    from services.api.auth.first_admin import set_password  # brings SQLAlchemy; see main.py
    from services.api.auth.passwords import new_password

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
    from services.api.auth.lost_factor import remove_lost_factor

    if not run(remove_lost_factor(checked(database_url), email)):
        raise Refused(f"there is no user {email.lower()} with a second factor")
    print(f"user {email.lower()}: the second factor is removed; they sign in with their password alone")
