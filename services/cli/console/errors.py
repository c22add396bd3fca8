"""Errors that the caller of a command can fix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CommandError(Exception):
    """The command cannot do its work. The text is one line with the problem and its remedy."""


@contextmanager
def plainly() -> Iterator[None]:
    """Turn the errors of sources, models, specs and runs into `CommandError`."""
    from pydantic import ValidationError

    from services.api.promotions.refusal import PromotionRefused
    from services.detector.backends.protocol import ModelUnavailable
    from services.ingest.source import SourceError
    from services.replay.errors import RunError

    try:
        yield
    except (SourceError, ModelUnavailable, RunError, PromotionRefused) as error:
        raise CommandError(" ".join(str(error).split())) from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        raise CommandError(f"{where}: {message}" if where else message) from error
