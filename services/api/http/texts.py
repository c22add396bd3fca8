"""What a text that is stored and shown to others may hold: nothing that moves, hides or forges what stands beside it.

Refused are control characters, ends of lines and paragraphs, what turns the direction of writing, and what Unicode has
given up or never gives. Letters, signs and emoji of all scripts are fine, with the joiners that Persian and emoji need.
"""

from __future__ import annotations

import unicodedata

BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Turn the direction of what follows: `gnp.exe` reads as `exe.png`."""
_OTHERS = frozenset("\u206a\u206b\u206c\u206d\u206e\u206f\ufeff\ufff9\ufffa\ufffb\U000e0001")
"""Given up by Unicode, or with no meaning within a text."""
_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_EMPTY = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs by their category, and blank to see."""
_NONCHARACTERS = 0xFDD0, 0xFDEF


def is_storable(text: str) -> bool:
    """Tell whether a database can hold a text, and an answer repeat it: a password may hold all else."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def is_allowed(letter: str) -> bool:
    """Tell whether a text may hold a character."""
    code = ord(letter)
    none = _NONCHARACTERS[0] <= code <= _NONCHARACTERS[1] or code & 0xFFFE == 0xFFFE
    return not (none or letter in BIDI or letter in _OTHERS or unicodedata.category(letter) in _CATEGORIES)


def checked(text: str) -> str:
    """A text that may be stored and shown.

    Raises:
        ValueError: it may not; says which character, and where.
    """
    for place, letter in enumerate(text, start=1):
        if not is_allowed(letter):
            name = unicodedata.name(letter, "a control character").lower()
            raise ValueError(f"character {place} is U+{ord(letter):04X} ({name}), which no text may hold: leave it out")
    return text


def tidy(text: str) -> str:
    """A text without the blanks around it.

    Raises:
        ValueError: it may not be stored, or there is something and nothing to be seen of it.
    """
    tidied = checked(text).strip()
    if tidied and not any(_is_seen(letter) for letter in tidied):
        raise ValueError("nothing of it can be seen: give it a letter, a digit or a sign")
    return tidied


def tidy_name(text: str) -> str:
    """The same, of what must have a name.

    Raises:
        ValueError: it may not be stored, or is blank.
    """
    tidied = tidy(text)
    if not tidied:
        raise ValueError("it is blank: give it a name")
    return tidied


def without_hidden(text: str) -> str:
    """A text that holds no character which cannot be seen.

    Raises:
        ValueError: it holds one; two addresses that look alike must not be two.
    """
    for letter in checked(text):
        if unicodedata.category(letter) in {"Cf", "Zs"} or letter in _EMPTY:
            raise ValueError(f"it holds U+{ord(letter):04X}, which cannot be seen: write it anew")
    return text


def cleaned(text: str, longest: int) -> str:
    """What is left of a text that nobody can be asked to mend, such as a header that a program sends."""
    seen = "".join(letter if is_allowed(letter) else " " for letter in text[: 4 * longest])
    return " ".join(seen.split())[:longest]


def _is_seen(letter: str) -> bool:
    return letter not in _EMPTY and unicodedata.category(letter)[0] in "LNPS"
