"""How options are written on the command line, and what they mean."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from contracts.area import Polygon
from contracts.identity import TOKEN_PATTERN, to_ns
from services.cli.console.errors import Refused

Points = tuple[float, float, float, float]
T = TypeVar("T")
_CORNERS = "0,0.3,1,0.3,1,1,0,1"
_AXES = ("x1", "y1", "x2", "y2")
_AGO = re.compile(r"-?(?=.)(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?")


class InSide(StrEnum):
    """The side of the line on which an IN ends."""

    LEFT = "left"
    RIGHT = "right"


class AnchorPoint(StrEnum):
    """The point of a person's box that has to cross the line."""

    CENTER = "center"
    FOOT = "foot"


PersistenceUrl = Annotated[
    str,
    typer.Option(
        envvar="METRICA_PERSISTENCE_DATABASE_URL",
        help="The database as the owner of the counts reaches it: postgresql://user:password@host:port/database",
        show_default=False,
    ),
]
LineOption = Annotated[
    list[str] | None,
    typer.Option(
        help="x1,y1,x2,y2 from 0 to 1, y down. Several lines have names: --line door=0.5,0,0.5,1 --line gate=…",
        show_default=False,
    ),
]
InOption = Annotated[
    list[InSide] | None,
    typer.Option(
        "--in",
        help="The side of the line where an IN ends, walking from x1,y1 to x2,y2: once, or once for each line.",
        show_default=False,
    ),
]
AnchorOption = Annotated[
    list[AnchorPoint] | None,
    typer.Option(
        help="The point of a person that crosses, and that is looked for in regions. \\[default: center]",
        show_default=False,
    ),
]
InNameOption = Annotated[
    list[str] | None, typer.Option(help='What people call the side where an IN ends, as "shop".', show_default=False)
]
OutNameOption = Annotated[
    list[str] | None, typer.Option(help='What people call the other side, as "street".', show_default=False)
]
RegionOption = Annotated[
    list[str] | None,
    typer.Option(
        help="x,y,x,y,x,y… from 0 to 1: look for people in this polygon only. May be repeated; none is everywhere.",
        show_default=False,
    ),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(
        help="x,y,x,y,x,y…: look for nobody in this polygon, as a mirror or a screen. May be repeated, or none.",
        show_default=False,
    ),
]
ZoneOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A named part of the picture that people are told of in, as till=x,y,x,y,x,y…. May be repeated, or none.",
        show_default=False,
    ),
]
MinHeightOption = Annotated[
    float | None,
    typer.Option(help="Leave out who is less high than this part of the picture, as 0.05.", show_default=False),
]


@dataclass(frozen=True, slots=True)
class LineWords:
    """What is said of lines: each of the sequences is empty, of one value for all lines, or of one for each."""

    lines: Sequence[str]
    ids: Sequence[str] = ()
    sides: Sequence[InSide] = ()
    anchors: Sequence[AnchorPoint] = ()
    in_names: Sequence[str] = ()
    out_names: Sequence[str] = ()

    def read(self) -> tuple[dict[str, object], ...]:
        """The fields of each line, those that are not said left out.

        Raises:
            Refused: they cannot be read so.
        """
        named = (_named("--line", text, "0.5,0,0.5,1") for text in self.lines)
        names, texts = zip(*named, strict=True) if self.lines else ((), ())
        count = len(texts)
        ids = self._each("--line-id", self.ids) if self.ids else [None] * count
        unnamed = ["line", *(f"line-{number}" for number in range(2, count + 1))][:count]
        said = {
            "id": [name or given or other for name, given, other in zip(names, ids, unnamed, strict=True)],
            "in_side": [None if side is None else side.value for side in self._each("--in", self.sides)],
            "anchor": [None if anchor is None else anchor.value for anchor in self._each("--anchor", self.anchors)],
            "in_name": self._each("--in-name", self.in_names),
            "out_name": self._each("--out-name", self.out_names),
        }
        return tuple(
            dict(zip(_AXES, points(text), strict=True))
            | {field: values[number] for field, values in said.items() if values[number] is not None}
            for number, text in enumerate(texts)
        )

    def over(self, drawn: Sequence[Mapping[str, object]]) -> tuple[dict[str, object], ...]:
        """The fields of lines that are drawn already, with what is said of them.

        Raises:
            Refused: it cannot be said of so many.
        """
        texts = [",".join(str(line[axis]) for axis in _AXES) for line in drawn]
        named = [f"{line['id']}={text}" for line, text in zip(drawn, texts, strict=True)]
        said = replace(self, lines=named, ids=()).read()
        return tuple({**line, **fields} for line, fields in zip(drawn, said, strict=True))

    @property
    def without_lines(self) -> bool:
        """Whether something is said, but no line is drawn."""
        return not self.lines and any((self.sides, self.anchors, self.in_names, self.out_names))

    def _each(self, option: str, said: Sequence[T]) -> Sequence[T | None]:
        """One value for each line."""
        count = len(self.lines)
        if len(said) == count:
            return said
        if len(said) > 1:
            raise Refused(f"{option} is given {len(said)} times, for {count} lines: give it once, or once for each")
        return [said[0] if said else None] * count


def points(text: str) -> Points:
    """The two points of `--line x1,y1,x2,y2`.

    Raises:
        Refused: it is not four numbers.
    """
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError:
        raise Refused(f"--line {text}: give four numbers from 0 to 1, as in --line 0.5,0,0.5,1") from None
    return x1, y1, x2, y2


def polygons(option: str, texts: Sequence[str]) -> tuple[Polygon, ...]:
    """The polygons of `--region` or `--ignore`; the word `none` is none.

    Raises:
        Refused: one is not three or more points.
    """
    return tuple(_polygon(option, text) for text in texts if text != "none")


def zones(texts: Sequence[str]) -> tuple[dict[str, object], ...]:
    """The fields of the zones of `--zone ID=x,y,x,y,x,y…`; the word `none` is none.

    Raises:
        Refused: one has no id, or is not three or more points.
    """
    return tuple(_zone(text) for text in texts if text != "none")


def _zone(text: str) -> dict[str, object]:
    name, corners = _named("--zone", text, _CORNERS)
    if name is None:
        raise Refused(f"--zone {text}: give it an id, as in --zone till={_CORNERS}")
    return {"id": name, "polygon": _polygon(f"--zone {name}", corners)}


def _polygon(option: str, text: str) -> Polygon:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) < 6 or len(numbers) % 2:
        raise Refused(f"{option} {text}: give three points or more from 0 to 1, as in {_CORNERS}")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _named(option: str, text: str, example: str) -> tuple[str | None, str]:
    """The id and the points of `OPTION ID=x1,y1,x2,y2…`; the id may be left out."""
    name, equals, rest = text.partition("=")
    if not equals:
        return None, text
    if not re.match(TOKEN_PATTERN, name):
        raise Refused(f"{option} {text}: an id has letters, digits, - and _ only, as in {option} door={example}")
    return name, rest


def start_ns(text: str) -> int:
    """The moment of `--start`, ns UTC.

    Raises:
        Refused: it is no moment, or has no time zone.
    """
    try:
        moment = datetime.fromisoformat(text)
        return to_ns(moment)
    except ValueError:
        raise Refused(f"--start {text}: give a moment with its time zone, as in 2026-11-23T09:00:00+01:00") from None


def moment_ns(option: str, text: str, now: int, where: tzinfo | None = None) -> int:
    """The moment of `--since` or `--until`, ns UTC: one of the calendar, or so long ago.

    Args:
        option: as it is written.
        text: `2026-11-23T09:00:00+01:00`, `-2h`, `90m`, `1d12h` or `now`.
        now: the present moment, ns UTC.
        where: the zone of a moment without one, `2026-11-23T09:00` or `2026-11-23`; None refuses such. Of two moments
            of the same name, when clocks go back, it is the first.

    Raises:
        Refused: it is neither.
    """
    if text == "now":
        return now
    if ago := _AGO.fullmatch(text):
        parts = {unit: int(value) for unit, value in ago.groupdict("0").items()}
        return now - int(timedelta(**parts).total_seconds()) * 1_000_000_000
    try:
        said = datetime.fromisoformat(text)
        return to_ns(said if said.tzinfo or where is None else said.replace(tzinfo=where))
    except ValueError:
        raise Refused(
            f"{option} {text}: give a moment with its time zone, as in 2026-11-23T09:00:00+01:00, "
            "or how long ago, as in -2h, -90m or -1d"
        ) from None


@dataclass(frozen=True, slots=True)
class ModelPlaces:
    """Where models are found, and where they run.

    Attributes:
        folders: searched before anything is downloaded (METRICA_MODELS).
        cache: where downloads are kept (METRICA_CACHE).
        device: what computes (METRICA_DEVICE); None is the best there is.
        precision: computed in (METRICA_PRECISION).
        closer: whether to look closer where people are small (METRICA_CLOSER).
    """

    folders: tuple[Path, ...]
    cache: Path
    device: str | None = None
    precision: str = "f32"
    closer: bool = True

    @classmethod
    def of_environment(cls) -> ModelPlaces:
        """As the environment says."""
        folders = tuple(Path(part) for part in os.environ.get("METRICA_MODELS", "").split(os.pathsep) if part)
        return cls(
            folders,
            Path(os.environ.get("METRICA_CACHE") or Path.home() / ".cache" / "metrica"),
            device=os.environ.get("METRICA_DEVICE") or None,
            precision=os.environ.get("METRICA_PRECISION") or "f32",
            closer=os.environ.get("METRICA_CLOSER", "").lower() not in ("false", "f", "no", "n", "off", "0"),
        )


def threads_of_environment() -> int | None:
    """Threads that a detector may use at most, as METRICA_THREADS says to the services too; None for all.

    Raises:
        Refused: it is no number of threads.
    """
    text = os.environ.get("METRICA_THREADS") or None
    if text is not None and (not text.isdecimal() or int(text) < 1):
        raise Refused(f"METRICA_THREADS={text}: give a whole number from 1 up")
    return None if text is None else int(text)
