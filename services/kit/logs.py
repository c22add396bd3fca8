"""Structured logs: one line per event on standard output, with the service, and the camera and trace where known."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from services.kit.settings import ServiceSettings

__all__ = ["bound_contextvars", "configure", "logger"]


def configure(service: str, settings: ServiceSettings) -> None:
    """Send every log of the process, the libraries' included, through one format."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [
        merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    as_json = settings.log_format == "json"
    render: Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    )
    shared += [] if as_json else [_keep_to_a_line]
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            render,
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def _keep_to_a_line(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Escape the message's line breaks and control characters: libraries put untrusted input into their messages.

    The renderer escapes the values, and in JSON everything.
    """
    message = event.get("event")
    if isinstance(message, str) and not message.isprintable():
        event["event"] = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in message)
    return event


def logger() -> FilteringBoundLogger:
    """The process's logger."""
    log: FilteringBoundLogger = structlog.get_logger()
    return log
