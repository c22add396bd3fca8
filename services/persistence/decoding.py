"""Decoding of messages to events, with a check of each event against its subject."""

from __future__ import annotations

from pydantic import ValidationError

from contracts.events import CROSSING_EVENT, Crossing, SessionEnd
from contracts.subjects import Kind, parse

Record = Crossing | SessionEnd
"""An event on the subjects of crossings."""


class MalformedEvent(ValueError):
    """A message that is neither a valid crossing nor a session's end; the text is the reason."""


def read(subject: str, body: bytes) -> Record:
    """The event of a message.

    Raises:
        MalformedEvent: the body or the subject cannot be read, or they name different runs, stores or cameras.
    """
    try:
        event = CROSSING_EVENT.validate_json(body)
        parsed = parse(subject)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise MalformedEvent(f"{where}: {problem['msg']}" if where else problem["msg"]) from error
    except ValueError as error:
        raise MalformedEvent(str(error)) from error
    camera = event.run, event.store, event.camera
    if parsed.kind not in {Kind.CROSSINGS, Kind.EDGE} or camera != (parsed.run, parsed.store, parsed.camera):
        raise MalformedEvent(f"the event is of {'/'.join(camera)}, but its subject is {subject}")
    return event
