"""`metrica tail SUBJECT`: messages on the bus, decoded, as they are published."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from nats.aio.msg import Msg

from services.cli.console.broker import running_bus
from services.kit.nats.subscribers import subscribed_in_batches


def tail(
    subject: Annotated[
        str,
        typer.Argument(help="Such as metrica.live.crossings.> or metrica.*.status.shop.door; * and > are wildcards."),
    ] = "metrica.>",
    *,
    count: Annotated[
        int | None, typer.Option(min=1, help="Stop after this number of messages.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Show messages until Ctrl-C: their subject and content; of a frame, its headers."""
    asyncio.run(_tail(subject, count, as_json))


async def _tail(subject: str, count: int | None, as_json: bool) -> None:
    arrived: asyncio.Queue[Msg] = asyncio.Queue()

    async def take(messages: Sequence[Msg]) -> None:
        for msg in messages:
            arrived.put_nowait(msg)

    async with running_bus() as bus, subscribed_in_batches(bus.broker, subject, take):
        await bus.client.flush()
        printed = 0
        while printed != count:
            msg = await arrived.get()
            if msg.reply and not msg.data:
                continue
            print(json.dumps(_as_json(msg)) if as_json else _line(msg), flush=True)
            printed += 1


def _as_json(msg: Msg) -> dict[str, Any]:  # any JSON
    event = _decoded(msg.data)
    fields: dict[str, Any] = {"subject": msg.subject, "bytes": len(msg.data)}
    if msg.headers:
        fields["headers"] = dict(msg.headers)
    if event is not None:
        fields["event"] = event
    return fields


def _line(msg: Msg) -> str:
    now = datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
    event = _decoded(msg.data)
    text = json.dumps(event) if event is not None else f"{len(msg.data)} bytes {json.dumps(dict(msg.headers or {}))}"
    return f"{now} {msg.subject} {text}"


def _decoded(data: bytes) -> object:
    """Decode JSON; None for other data."""
    try:
        return json.loads(data)
    except ValueError:
        return None
