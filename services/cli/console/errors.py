"""Errors of the command line: what the person who typed the command can mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Refused(Exception):
    """The command cannot do what was asked. The text is one line that says what was wrong and what to do."""


@contextmanager
def plainly() -> Iterator[None]:
    """Turn the errors of sources, models and specs into `Refused`."""
    from pydantic import ValidationError

    from services.detector.backends.protocol import ModelUnavailable
    from services.ingest.source import SourceError

    try:
        yield
    except (SourceError, ModelUnavailable) as error:
        raise Refused(" ".join(str(error).split())) from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        said = problem["msg"].removeprefix("Value error, ")
        raise Refused(f"{where}: {said}" if where else said) from error
