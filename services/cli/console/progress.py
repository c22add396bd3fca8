"""Progress bars on stderr; hidden if it is no terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from rich import progress
from rich.console import Console

Item = TypeVar("Item")


class ProgressBars:
    """Progress bars. Use it as a context."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, progress.TaskID] = {}

    def over(self, items: Iterable[Item], *, length: int | None, what: str = "counting") -> Iterator[Item]:
        """Pass on items, about `length` in number, and show their progress."""
        task = self._bars.add_task(what, total=length)
        for item in items:
            yield item
            self._bars.advance(task)
        self._bars.remove_task(task)

    def download(self, file: str, done: int, total: int) -> None:
        """Show that `done` of `total` bytes of a file have been fetched."""
        if file not in self._tasks:
            self._tasks[file] = self._bars.add_task(f"fetching {file}")
        self._bars.update(self._tasks[file], completed=done, total=total)

    def reach(self, what: str, part: float) -> None:
        """Show the part of some work that is done, 0 … 1."""
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=1.0)
        self._bars.update(self._tasks[what], completed=part)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()
