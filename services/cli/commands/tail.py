"""`metrica tail SUBJECT`: what passes on the bus, decoded, as it passes."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.console.broker import running_bus

if TYPE_CHECKING:
    from nats.aio.msg import Msg


def tail(
    subject: Annotated[
        str, typer.Argument(help="Such as metrica.live.crossings.> or metrica.*.status.shop.door; * and > are wild.")
    ] = "metrica.>",
    *,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show events as they pass, until Ctrl-C: their subject, and what is in them; of a frame, its headers."""
    asyncio.run(_tail(subject, count, as_json))


async def _tail(subject: str, count: int | None, as_json: bool) -> None:
    async with running_bus() as bus:
        passing = await bus.client.subscribe(subject)
        await bus.client.flush()
        seen = 0
        async for msg in passing.messages:
            if msg.reply and not msg.data:
                continue
            print(json.dumps(_told(msg)) if as_json else _line(msg), flush=True)
            seen += 1
            if seen == count:
                return


def _told(msg: Msg) -> dict[str, Any]:  # any JSON
    event = _decoded(msg.data)
    told: dict[str, Any] = {"subject": msg.subject, "bytes": len(msg.data)}
    if msg.headers:
        told["headers"] = dict(msg.headers)
    if event is not None:
        told["event"] = event
    return told


def _line(msg: Msg) -> str:
    now = datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
    event = _decoded(msg.data)
    said = json.dumps(event) if event is not None else f"{len(msg.data)} bytes {json.dumps(dict(msg.headers or {}))}"
    return f"{now} {msg.subject} {said}"


def _decoded(data: bytes) -> object:
    """The JSON in an event; None where it is none."""
    try:
        return json.loads(data)
    except ValueError:
        return None
