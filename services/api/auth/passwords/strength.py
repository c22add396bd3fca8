"""Estimates the strength of passwords with zxcvbn, which knows the 30 000 most common ones, words and patterns."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.api.http.problems import Invalid

LEAST = 3
"""Lowest accepted score of 0 to 4. 3 is more than 10^8 guesses, which argon2id makes slow."""
LOOKED_AT = 40
"""Characters that are estimated. The time grows with their square, and more with look-alikes such as `4@$1`: up to
0.6 s for 40 of them, and 5 s for 72. Further characters can only make a password harder to guess."""
_OUR_NAME = "metrica"
_ONE_AT_A_TIME = threading.Lock()  # zxcvbn keeps the user inputs in a dictionary that all calls share

_ADVICE = "Use four or more words that have nothing to do with one another, or let your password manager choose."
_WHY = {
    "spatial": "it follows the rows of a keyboard",
    "repeat": "it repeats itself",
    "sequence": "it has a sequence like abc or 6543",
    "regex": "it has a year",
    "date": "it has a date",
}
_WHY_WORD = {
    "user_inputs": "there is little in it but your name, your address, or the name of your organization or of Metrica",
    "passwords": "it is like a password that many people use",
    "surnames": "it has a common name",
    "male_names": "it has a common name",
    "female_names": "it has a common name",
}


@dataclass(frozen=True, slots=True)
class Strength:
    """A score, 0 to 4, and a sentence on the weakness, which is empty for an accepted password."""

    score: int
    says: str

    @property
    def enough(self) -> bool:
        """Tell whether the password is accepted."""
        return self.score >= LEAST


class Judge:
    """Estimates passwords in a thread, one at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)

    async def judge(self, password: str, about: Iterable[str] = ()) -> Strength:
        """Estimate a password against a guesser who knows the person.

        Args:
            about: texts about the person that others know, such as address, name, and the organization's name.
        """
        words = _words([_OUR_NAME, *about])
        async with self._turn:
            return await asyncio.to_thread(judge, password, words)

    async def refuse_weak(self, password: str, about: Iterable[str] = (), *, where: str = "password") -> None:
        """Refuse a weak password.

        Raises:
            Invalid: it is easily guessed; with the weakness and the remedy.
        """
        strength = await self.judge(password, about)
        if not strength.enough:
            raise Invalid(strength.says, where, code="weak-password")


def judge(password: str, words: Sequence[str]) -> Strength:
    """Estimate a password on this thread; `words` in lower case, longest first."""
    from zxcvbn import zxcvbn  # loads 20 MB of words, only in processes that estimate

    looked_at = password[:LOOKED_AT]
    with _ONE_AT_A_TIME:
        estimate = zxcvbn(looked_at, user_inputs=list(words))
        # zxcvbn overrates the order of user inputs and the text between them: the rest must be strong by itself, too.
        bare = re.sub("|".join(re.escape(word) for word in words), "", looked_at, flags=re.IGNORECASE)
        rest = estimate if bare == looked_at else zxcvbn(bare or " ")
    score, of_rest = int(estimate["score"]), int(rest["score"])
    if min(score, of_rest) >= LEAST:
        return Strength(min(score, of_rest), "")
    return Strength(min(score, of_rest), _advice(estimate["sequence"] if score < LEAST else ()))


def _advice(sequence: Iterable[Mapping[str, object]]) -> str:
    """The message for the longest pattern that zxcvbn found; without one, the password consists of user inputs."""
    longest = max(sequence, key=lambda part: len(str(part["token"])), default=None)
    why: str | None = _WHY_WORD["user_inputs"]
    if longest is not None:
        pattern = str(longest["pattern"])
        ours = _WHY_WORD.get(str(longest.get("dictionary_name")), "it is little more than a common word")
        why = ours if pattern == "dictionary" else _WHY.get(pattern)
    return f"This password is easily guessed: {why or 'it is short and simple'}. {_ADVICE}"


def _words(texts: Iterable[str]) -> list[str]:
    """The texts and their words, in lower case, longest first."""
    words: dict[str, None] = {}
    for text in texts:
        for word in [text, *re.split(r"[\W_]+", text)]:
            if len(word) > 2:
                words[word.lower()] = None
    return sorted(words, key=len, reverse=True)
