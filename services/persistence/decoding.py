"""From a message to an event that may be stored: read, and held against the subject it came on."""

from __future__ import annotations

from pydantic import ValidationError

from contracts.events import CROSSING_EVENT, Crossing, SessionEnd
from contracts.subjects import Kind, parse

Record = Crossing | SessionEnd
"""What the crossings' subjects carry."""


class MalformedEvent(ValueError):
    """A message that is no crossing and no session's end; says why."""


def read(subject: str, body: bytes) -> Record:
    """The event of a message.

    Raises:
        MalformedEvent: the body or the subject cannot be read, or they name different runs, stores or cameras.
    """
    try:
        event = CROSSING_EVENT.validate_json(body)
        named = parse(subject)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise MalformedEvent(f"{where}: {problem['msg']}" if where else problem["msg"]) from error
    except ValueError as error:
        raise MalformedEvent(str(error)) from error
    said, told = (event.run, event.store, event.camera), (named.run, named.store, named.camera)
    if named.kind not in {Kind.CROSSINGS, Kind.EDGE} or said != told:
        raise MalformedEvent(f"the event is of {'/'.join(said)}, but its subject is {subject}")
    return event
