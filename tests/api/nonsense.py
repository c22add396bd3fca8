"""Values that no honest client sends, put into requests that were otherwise fine."""

from __future__ import annotations

import math
from random import Random
from typing import Any

TEXTS = (
    "", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\U0010ffff", "\u202e", "é" * 60, "x" * 5_000, ".", "..",
    "%00", "null", "NaN", "-1", "1e999", "9" * 30, "9" * 5_000, "'; --", "{0}", "[::1", "rtsp://[", "http://a:b@:99999/",
    "*", '"', 'W/"', "Europe/../UTC", "/etc/localtime", "0001-01-01", "9999-12-31", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00", "2026-02-30", "24:00", "00000000-0000-0000-0000-000000000000", "mk_", "mw_a_b",
)  # fmt: skip
NUMBERS = (
    0, -1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, -0.0, 5e-324, 1e308, math.nan, math.inf, -math.inf,
)  # fmt: skip
DEEP = 900
"""Levels that the JSON parser still reads."""
BODIES = (
    b"", b"null", b"[]", b"{", b'"', b"\xff", b"\x00", b"\xef\xbb\xbf{}", b"[" * 100_000, b"9" * 5_000, b"NaN",
    b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP, b'{"events":[' + b"[" * DEEP + b"]" * DEEP + b"]}",
)  # fmt: skip
TOKENS = (
    "", "Bearer", "Bearer ", "Basic x", "Bearer a.b.c", "Bearer mk_", "Bearer mk__", "Bearer mw_a_b", "Bearer \xe9",
    "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6e319.W10.AA", "\xff \xff",
)  # fmt: skip


def other(dice: Random) -> Any:  # noqa: ANN401  # JSON
    """A value that does not belong where it is put."""
    return dice.choice([dice.choice(TEXTS), dice.choice(NUMBERS), None, True, [], {}, [[]], {"": dice.choice(TEXTS)}])


def spoilt(value: Any, dice: Random) -> Any:  # noqa: ANN401  # JSON
    """The same JSON with another value, or another key, at one place in it."""
    match value:
        case dict() if value and dice.random() < 0.85:
            name = dice.choice(list(value))
            return {**value, name: spoilt(value[name], dice)}
        case dict():
            return {**value, dice.choice(TEXTS): other(dice)}
        case list() if value and dice.random() < 0.85:
            place = dice.randrange(len(value))
            return [*value[:place], spoilt(value[place], dice), *value[place + 1 :]]
        case str():
            return dice.choice(TEXTS)
        case int() | float():
            return dice.choice(NUMBERS)
        case _:
            return other(dice)
