"""The database of a running Metrica, for the verbs that change it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from services.cli.console.errors import Refused

DatabaseUrl = Annotated[
    str,
    typer.Option(
        envvar="METRICA_DATABASE_URL", help="postgresql://user:password@host:port/database", show_default=False
    ),
]
T = TypeVar("T")


def checked(database_url: str) -> str:
    """The address, where one was said."""
    if not database_url:
        raise Refused(
            "METRICA_DATABASE_URL is not set: it says which database, postgresql://user:password@host:port/name"
        )
    return database_url


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run something against the database; what a person can mend becomes `Refused`."""
    from services.api.cameras.repository import NoSuchCamera, in_words
    from services.api.http.problems import DATABASE_ERRORS

    try:
        return asyncio.run(work)
    except NoSuchCamera as error:
        raise Refused(str(error)) from error
    except ValueError as error:
        raise Refused(in_words(error)) from error
    except DATABASE_ERRORS as error:
        raise Refused(f"the database does not answer: {error}. Is Metrica running (./taskw up)?") from error
