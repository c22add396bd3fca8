"""Rules for stored texts that others see: no characters that move, hide or forge the text beside them.

Refused are control characters, line and paragraph separators, characters that change the direction of writing,
deprecated characters and noncharacters. Letters, symbols and emoji of all scripts are allowed, with the joiners that
Persian and emoji need.
"""

from __future__ import annotations

import unicodedata

BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Change the direction of the text that follows: `gnp.exe` reads as `exe.png`."""
_OTHERS = frozenset("\u206a\u206b\u206c\u206d\u206e\u206f\ufeff\ufff9\ufffa\ufffb\U000e0001")
"""Deprecated by Unicode, or without meaning within a text."""
_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_EMPTY = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols by category, but blank."""
_NONCHARACTERS = 0xFDD0, 0xFDEF


def is_storable(text: str) -> bool:
    """Tell whether a database can store a text and JSON can encode it. Passwords need no more than that."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def is_allowed(letter: str) -> bool:
    """Tell whether a text may contain a character."""
    code = ord(letter)
    none = _NONCHARACTERS[0] <= code <= _NONCHARACTERS[1] or code & 0xFFFE == 0xFFFE
    return not (none or letter in BIDI or letter in _OTHERS or unicodedata.category(letter) in _CATEGORIES)


def checked(text: str) -> str:
    """A text, once all of its characters are allowed.

    Raises:
        ValueError: a character is not allowed; the message has its position.
    """
    for place, letter in enumerate(text, start=1):
        if not is_allowed(letter):
            name = unicodedata.name(letter, "a control character").lower()
            raise ValueError(f"character {place} is U+{ord(letter):04X} ({name}), which no text may hold: leave it out")
    return text


def tidy(text: str) -> str:
    """A text without surrounding blanks.

    Raises:
        ValueError: a character is not allowed, or all of them are invisible.
    """
    tidied = checked(text).strip()
    if tidied and not any(_is_seen(letter) for letter in tidied):
        raise ValueError("nothing of it can be seen: give it a letter, a digit or a sign")
    return tidied


def tidy_name(text: str) -> str:
    """A name without surrounding blanks.

    Raises:
        ValueError: a character is not allowed, or the name is blank.
    """
    tidied = tidy(text)
    if not tidied:
        raise ValueError("it is blank: give it a name")
    return tidied


def without_hidden(text: str) -> str:
    """A text, once it has no invisible character.

    Raises:
        ValueError: it has one; two addresses must not look alike.
    """
    for letter in checked(text):
        if unicodedata.category(letter) in {"Cf", "Zs"} or letter in _EMPTY:
            raise ValueError(f"it holds U+{ord(letter):04X}, which cannot be seen: write it anew")
    return text


def cleaned(text: str, longest: int) -> str:
    """A text without characters that are not allowed, cut to `longest`; for texts of programs, such as headers."""
    seen = "".join(letter if is_allowed(letter) else " " for letter in text[: 4 * longest])
    return " ".join(seen.split())[:longest]


def _is_seen(letter: str) -> bool:
    return letter not in _EMPTY and unicodedata.category(letter)[0] in "LNPS"
