"""Decoding of messages to events, with a check of each event against its subject."""

from __future__ import annotations

from pydantic import ValidationError

from contracts.events import CROSSING_EVENT, Coverage, Crossing, SessionEnd
from contracts.subjects import Kind, parse

Record = Crossing | SessionEnd | Coverage
"""An event of the stream of crossings."""


class MalformedEvent(ValueError):
    """A message that is no valid crossing, session's end or coverage; the text is the reason."""


def read(subject: str, body: bytes) -> Record:
    """The event of a message.

    Raises:
        MalformedEvent: the body or the subject cannot be read, or they name different runs, stores or cameras.
    """
    try:
        parsed = parse(subject)
        covers = parsed.kind is Kind.COVERAGE
        event: Record = Coverage.model_validate_json(body) if covers else CROSSING_EVENT.validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise MalformedEvent(f"{where}: {problem['msg']}" if where else problem["msg"]) from error
    except ValueError as error:
        raise MalformedEvent(str(error)) from error
    camera = event.run, event.store, event.camera
    if parsed.kind not in {Kind.CROSSINGS, Kind.COVERAGE, Kind.EDGE} or camera != (
        parsed.run,
        parsed.store,
        parsed.camera,
    ):
        raise MalformedEvent(f"the event is of {'/'.join(camera)}, but its subject is {subject}")
    return event
