"""The database of a running Metrica, for verbs that change it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from services.cli.console.errors import CommandError

DatabaseUrl = Annotated[
    str,
    typer.Option(
        envvar="METRICA_DATABASE_URL", help="postgresql://user:password@host:port/database", show_default=False
    ),
]
T = TypeVar("T")


def checked(database_url: str) -> str:
    """Return the database's address.

    Raises:
        CommandError: it is not set.
    """
    if not database_url:
        raise CommandError(
            "METRICA_DATABASE_URL is not set: give the database's address, postgresql://user:password@host:port/name"
        )
    return database_url


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that uses the database. Errors that the caller can fix become `CommandError`."""
    from services.api.cameras.mapping import in_words
    from services.api.cameras.repository import NoSuchCamera
    from services.api.http.problems import DATABASE_ERRORS

    try:
        return asyncio.run(work)
    except NoSuchCamera as error:
        raise CommandError(str(error)) from error
    except ValueError as error:
        raise CommandError(in_words(error)) from error
    except DATABASE_ERRORS as error:
        raise CommandError(f"the database does not answer: {error}. Is Metrica running (./taskw up)?") from error
