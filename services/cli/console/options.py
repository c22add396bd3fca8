"""Options that commands share, and their parsing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from contracts.area import Polygon
from contracts.identity import TOKEN_PATTERN, to_ns
from contracts.spec import Anchor, Side
from services.cli.console.errors import CommandError

Points = tuple[float, float, float, float]
T = TypeVar("T")
_CORNERS = "0,0.3,1,0.3,1,1,0,1"
_AXES = ("x1", "y1", "x2", "y2")
_AGO = re.compile(r"-?(?=.)(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?")


PersistenceUrl = Annotated[
    str,
    typer.Option(
        envvar="METRICA_PERSISTENCE_DATABASE_URL",
        help="The database, with persistence's user: postgresql://user:password@host:port/database",
        show_default=False,
    ),
]
LineOption = Annotated[
    list[str] | None,
    typer.Option(
        help="x1,y1,x2,y2 from 0 to 1, y down. Several lines need ids: --line door=0.5,0,0.5,1 --line gate=…",
        show_default=False,
    ),
]
InOption = Annotated[
    list[Side] | None,
    typer.Option(
        "--in",
        help="The line's side on which an IN ends, walking from x1,y1 to x2,y2: once, or once for each line.",
        show_default=False,
    ),
]
AnchorOption = Annotated[
    list[Anchor] | None,
    typer.Option(
        help="The point of a person that crosses lines and must lie in a region. \\[default: center]",
        show_default=False,
    ),
]
InNameOption = Annotated[
    list[str] | None, typer.Option(help='Name of the side on which an IN ends, as "shop".', show_default=False)
]
OutNameOption = Annotated[
    list[str] | None, typer.Option(help='Name of the other side, as "street".', show_default=False)
]
RegionOption = Annotated[
    list[str] | None,
    typer.Option(
        help="x,y,x,y,x,y… from 0 to 1: detect people in this polygon only. May be repeated; none for everywhere.",
        show_default=False,
    ),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(
        help="x,y,x,y,x,y…: ignore people in this polygon, as a mirror or a screen. May be repeated, or none.",
        show_default=False,
    ),
]
ZoneOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A named area in which presence is reported, as till=x,y,x,y,x,y…. May be repeated, or none.",
        show_default=False,
    ),
]
MinHeightOption = Annotated[
    float | None,
    typer.Option(
        help="Ignore people whose height is less than this part of the picture's, as 0.05.", show_default=False
    ),
]


@dataclass(frozen=True, slots=True)
class LineWords:
    """The options about lines. Each sequence is empty, or has one value for all lines, or one for each."""

    lines: Sequence[str]
    ids: Sequence[str] = ()
    sides: Sequence[Side] = ()
    anchors: Sequence[Anchor] = ()
    in_names: Sequence[str] = ()
    out_names: Sequence[str] = ()

    def read(self) -> tuple[dict[str, object], ...]:
        """Parse the fields of each line, without those that are not given.

        Raises:
            CommandError: an option cannot be parsed, or its number of values does not fit.
        """
        parsed = (_named("--line", text, "0.5,0,0.5,1") for text in self.lines)
        names, texts = zip(*parsed, strict=True) if self.lines else ((), ())
        count = len(texts)
        ids = self._each("--line-id", self.ids) if self.ids else [None] * count
        defaults = ["line", *(f"line-{number}" for number in range(2, count + 1))][:count]
        columns = {
            "id": [name or given or default for name, given, default in zip(names, ids, defaults, strict=True)],
            "in_side": [None if side is None else side.value for side in self._each("--in", self.sides)],
            "anchor": [None if anchor is None else anchor.value for anchor in self._each("--anchor", self.anchors)],
            "in_name": self._each("--in-name", self.in_names),
            "out_name": self._each("--out-name", self.out_names),
        }
        return tuple(
            dict(zip(_AXES, points(text), strict=True))
            | {field: values[number] for field, values in columns.items() if values[number] is not None}
            for number, text in enumerate(texts)
        )

    def over(self, drawn: Sequence[Mapping[str, object]]) -> tuple[dict[str, object], ...]:
        """Apply the options to lines that are drawn already.

        Raises:
            CommandError: the number of an option's values does not fit.
        """
        texts = [",".join(str(line[axis]) for axis in _AXES) for line in drawn]
        lines = [f"{line['id']}={text}" for line, text in zip(drawn, texts, strict=True)]
        changes = replace(self, lines=lines, ids=()).read()
        return tuple({**line, **fields} for line, fields in zip(drawn, changes, strict=True))

    @property
    def without_lines(self) -> bool:
        """True if there are options about lines, but no line."""
        return not self.lines and any((self.sides, self.anchors, self.in_names, self.out_names))

    def _each(self, option: str, values: Sequence[T]) -> Sequence[T | None]:
        """Return one value for each line."""
        count = len(self.lines)
        if len(values) == count:
            return values
        if len(values) > 1:
            raise CommandError(
                f"{option} is given {len(values)} times, for {count} lines: give it once, or once for each"
            )
        return [values[0] if values else None] * count


def points(text: str) -> Points:
    """Parse the two points of `--line x1,y1,x2,y2`.

    Raises:
        CommandError: it is not four numbers.
    """
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError:
        raise CommandError(f"--line {text}: give four numbers from 0 to 1, as in --line 0.5,0,0.5,1") from None
    return x1, y1, x2, y2


def polygons(option: str, texts: Sequence[str]) -> tuple[Polygon, ...]:
    """Parse the polygons of `--region` or `--ignore`; the word `none` stands for none.

    Raises:
        CommandError: one is not three or more points.
    """
    return tuple(_polygon(option, text) for text in texts if text != "none")


def zones(texts: Sequence[str]) -> tuple[dict[str, object], ...]:
    """Parse the zones of `--zone ID=x,y,x,y,x,y…` to their fields; the word `none` stands for none.

    Raises:
        CommandError: one has no id, or is not three or more points.
    """
    return tuple(_zone(text) for text in texts if text != "none")


def _zone(text: str) -> dict[str, object]:
    name, corners = _named("--zone", text, _CORNERS)
    if name is None:
        raise CommandError(f"--zone {text}: give it an id, as in --zone till={_CORNERS}")
    return {"id": name, "polygon": _polygon(f"--zone {name}", corners)}


def _polygon(option: str, text: str) -> Polygon:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) < 6 or len(numbers) % 2:
        raise CommandError(f"{option} {text}: give three points or more from 0 to 1, as in {_CORNERS}")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _named(option: str, text: str, example: str) -> tuple[str | None, str]:
    """Split `OPTION ID=x1,y1,x2,y2…` into the id, which is optional, and the points."""
    name, equals, rest = text.partition("=")
    if not equals:
        return None, text
    if not re.match(TOKEN_PATTERN, name):
        raise CommandError(f"{option} {text}: an id has letters, digits, - and _ only, as in {option} door={example}")
    return name, rest


def start_ns(text: str) -> int:
    """Parse the time of `--start`, ns UTC.

    Raises:
        CommandError: it is no time, or has no time zone.
    """
    try:
        moment = datetime.fromisoformat(text)
        return to_ns(moment)
    except ValueError:
        raise CommandError(f"--start {text}: give a time with its time zone, as in 2026-11-23T09:00:00+01:00") from None


def moment_ns(option: str, text: str, now: int, zone: tzinfo | None = None) -> int:
    """Parse the time of `--since` or `--until`, ns UTC: a date and time, or a duration before now.

    Args:
        option: name of the option, for errors.
        text: `2026-11-23T09:00:00+01:00`, `-2h`, `90m`, `1d12h` or `now`.
        now: the present time, ns UTC.
        zone: time zone for a time without one, `2026-11-23T09:00` or `2026-11-23`; None refuses such times. When
            clocks go back and a time is ambiguous, the first one is meant.

    Raises:
        CommandError: it is neither.
    """
    if text == "now":
        return now
    if ago := _AGO.fullmatch(text):
        parts = {unit: int(value) for unit, value in ago.groupdict("0").items()}
        return now - int(timedelta(**parts).total_seconds()) * 1_000_000_000
    try:
        parsed = datetime.fromisoformat(text)
        return to_ns(parsed if parsed.tzinfo or zone is None else parsed.replace(tzinfo=zone))
    except ValueError:
        raise CommandError(
            f"{option} {text}: give a time with its time zone, as in 2026-11-23T09:00:00+01:00, "
            "or how long ago, as in -2h, -90m or -1d"
        ) from None


@dataclass(frozen=True, slots=True)
class ModelPlaces:
    """Folders and device of models.

    Attributes:
        folders: searched before a download (METRICA_MODELS).
        cache: folder of downloads (METRICA_CACHE).
        device: that runs inference (METRICA_DEVICE); None for the best one present.
        precision: of inference (METRICA_PRECISION).
        closer: enables slicing where people are small (METRICA_CLOSER).
    """

    folders: tuple[Path, ...]
    cache: Path
    device: str | None = None
    precision: str = "f32"
    closer: bool = True

    @classmethod
    def of_environment(cls) -> ModelPlaces:
        """Read the settings from the environment."""
        folders = tuple(Path(part) for part in os.environ.get("METRICA_MODELS", "").split(os.pathsep) if part)
        return cls(
            folders,
            Path(os.environ.get("METRICA_CACHE") or Path.home() / ".cache" / "metrica"),
            device=os.environ.get("METRICA_DEVICE") or None,
            precision=os.environ.get("METRICA_PRECISION") or "f32",
            closer=os.environ.get("METRICA_CLOSER", "").lower() not in ("false", "f", "no", "n", "off", "0"),
        )


def threads_of_environment() -> int | None:
    """Read METRICA_THREADS, the greatest number of threads of a detector, as in the services; None for all.

    Raises:
        CommandError: it is no positive whole number.
    """
    text = os.environ.get("METRICA_THREADS") or None
    if text is not None and (not text.isdecimal() or int(text) < 1):
        raise CommandError(f"METRICA_THREADS={text}: give a whole number from 1 up")
    return None if text is None else int(text)
