"""Reading the STATUS stream: the statuses that services report about live cameras."""

from __future__ import annotations

from nats.aio.msg import Msg
from pydantic import ValidationError

from contracts import subjects
from contracts.events import Status
from contracts.identity import LIVE
from services.kit.logs import logger

EVERY_STATUS = subjects.status(LIVE, "*", "*", "*")
"""Subject filter for all of them."""

log = logger()


def read_status(msg: Msg) -> Status | None:
    """The status of a message; None where it cannot be read, or its subject names another camera or service."""
    try:
        subject, status = subjects.parse(msg.subject), Status.model_validate_json(msg.data)
    except (ValidationError, ValueError) as error:
        log.warning("a status cannot be read", subject=msg.subject, error=str(error))
        return None
    reported = status.store, status.camera, status.service
    return status if reported == (subject.store, subject.camera, subject.part) else None
