"""`metrica dlq list | show | retry | drop`: dead letters of the services, their reasons, and another attempt."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError
from rich.console import Console
from rich.table import Table

from contracts.events import DeadLetter
from contracts.streams import DLQ
from contracts.subjects import DEAD_LETTERS
from services.cli.console.broker import running_bus
from services.cli.console.errors import CommandError
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer
from services.kit.nats.dead_letters import HEADER

app = typer.Typer(help="List the dead letters of the services, and retry or delete them.", no_args_is_help=True)

SHOWN_BYTES = 2000

Act = Callable[["Bus", "NumberedLetter"], Awaitable[None]]
Numbers = Annotated[list[int] | None, typer.Argument(help="Numbers of letters, as `list` shows them.")]
All = Annotated[bool, typer.Option("--all", help="All letters; with --service those of one service.")]
Service = Annotated[str | None, typer.Option(help="Only this service's, such as tracker.", show_default=False)]


@dataclass(frozen=True, slots=True)
class NumberedLetter:
    """A dead letter with its sequence number in the stream."""

    number: int
    letter: DeadLetter
    headers: dict[str, str]
    body: bytes

    def as_json(self) -> dict[str, str | int]:
        """Return the letter's line for `--json`."""
        return {"number": self.number, **self.letter.model_dump(mode="json"), "bytes": len(self.body)}


@app.command("list")
def list_letters(
    *,
    service: Service = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of letters to list, the newest ones.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List dead letters, the newest last."""

    async def newest() -> list[NumberedLetter]:
        async with running_bus() as bus:
            return list(deque([letter async for letter in _letters(bus, service)], limit))

    letters = asyncio.run(newest())
    if as_json:
        for numbered in letters:
            print(json.dumps(numbered.as_json()))
    else:
        _show_table(letters)


@app.command("show")
def show_letter(number: Annotated[int, typer.Argument(help="As `list` shows it.")]) -> None:
    """Show one dead letter: its origin, its headers, and the beginning of its body."""

    async def read() -> NumberedLetter:
        async with running_bus() as bus:
            return await _letter(bus, number)

    numbered = asyncio.run(read())
    print(json.dumps({**numbered.as_json(), "headers": numbered.headers}, indent=2))
    print(numbered.body[:SHOWN_BYTES].decode(errors="backslashreplace"))


@app.command("retry")
def retry_letters(numbers: Numbers = None, *, everything: All = False, service: Service = None) -> None:
    """Send letters to their original subjects once more, and delete them from the dead letters.

    A message that fails again becomes a new letter. One that was handled meanwhile is recognised by its id.
    """

    async def retry(bus: Bus, numbered: NumberedLetter) -> None:
        await bus.publish(
            numbered.letter.subject,
            numbered.body,
            headers=numbered.headers or None,
            msg_id=f"{numbered.letter.run}/retry/{numbered.number}",
        )
        await _remove(bus, numbered.number)

    _each(numbers, everything, service, retry, "sent once more")


@app.command("drop")
def drop_letters(numbers: Numbers = None, *, everything: All = False, service: Service = None) -> None:
    """Delete letters for good."""

    async def drop(bus: Bus, numbered: NumberedLetter) -> None:
        await _remove(bus, numbered.number)

    _each(numbers, everything, service, drop, "deleted")


def _each(numbers: list[int] | None, everything: bool, service: str | None, act: Act, done: str) -> None:
    if bool(numbers) == everything:
        raise CommandError("say which letters: their numbers, or --all")

    async def work() -> int:
        async with running_bus() as bus:
            chosen = (
                [letter async for letter in _letters(bus, service)]
                if everything
                else [await _letter(bus, number) for number in numbers or ()]
            )
            for numbered in chosen:
                await act(bus, numbered)
            return len(chosen)

    count = asyncio.run(work())
    print(f"{count} {'letter' if count == 1 else 'letters'} {done}")


async def _letters(bus: Bus, service: str | None) -> AsyncIterator[NumberedLetter]:
    """Iterate over all letters, the oldest first."""
    pattern = f"{DEAD_LETTERS}.{service or '*'}.>"
    state = (await bus.js.stream_info(DLQ.name, subjects_filter=pattern)).state
    left = sum((state.subjects or {}).values())
    if not left:
        return
    async with OrderedConsumer(bus, DLQ.name, ConsumerConfig(filter_subject=pattern)) as consumer:
        async for msg in consumer:
            yield _filed(msg.metadata.sequence.stream, msg.headers, msg.data)
            if msg.metadata.num_pending == 0:
                return


async def _letter(bus: Bus, number: int) -> NumberedLetter:
    try:
        msg = await bus.js.get_msg(DLQ.name, number)
    except NotFoundError as error:
        raise CommandError(f"there is no dead letter {number}; `metrica dlq list` shows those there are") from error
    return _filed(number, msg.headers, msg.data)


async def _remove(bus: Bus, number: int) -> None:
    await bus.js.delete_msg(DLQ.name, number)


def _filed(number: int, headers: dict[str, str] | None, body: bytes | None) -> NumberedLetter:
    fields = dict(headers or {})
    letter = DeadLetter.model_validate_json(fields.pop(HEADER))
    original = {name: value for name, value in fields.items() if not name.startswith("Nats-")}
    return NumberedLetter(number, letter, original, body or b"")


def _show_table(letters: list[NumberedLetter]) -> None:
    if not letters:
        print("There are no dead letters.")
        return
    table = Table("number", "when (UTC)", "service", "subject", "reason")
    for numbered in letters:
        when = datetime.fromtimestamp(numbered.letter.at / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(
            str(numbered.number), when, numbered.letter.service, numbered.letter.subject, numbered.letter.reason
        )
    Console().print(table)
