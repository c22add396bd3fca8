"""How easily a password is guessed: estimated by zxcvbn, which knows the 30 000 most common passwords and much more."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.api.http.problems import Invalid

LEAST = 3
"""zxcvbn's scale ends at 4. 3: more than 10^8 guesses, which argon2id makes slow."""
LOOKED_AT = 40
"""Characters. The estimate takes time with their square, and more with look-alikes such as `4@$1`: up to 0.6 s for 40
of them, and 5 s for 72. What follows can only make a password harder to guess."""
_OUR_NAME = "metrica"
_ONE_AT_A_TIME = threading.Lock()  # zxcvbn keeps the words about a person in a dictionary that all of its calls share

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
    """How easily a password is guessed, and what makes it so, in a sentence; the sentence is empty for a good one."""

    score: int
    says: str

    @property
    def enough(self) -> bool:
        """Tell whether it may be chosen."""
        return self.score >= LEAST


class Judge:
    """Estimates passwords beside the event loop, one at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)

    async def judge(self, password: str, about: Iterable[str] = ()) -> Strength:
        """How easily a password is guessed by somebody who knows the person.

        Args:
            password: as it was chosen.
            about: texts that others know of this person: an address, a name, the organization's name.
        """
        words = _words([_OUR_NAME, *about])
        async with self._turn:
            return await asyncio.to_thread(judge, password, words)

    async def refuse_weak(self, password: str, about: Iterable[str] = (), *, where: str = "password") -> None:
        """Let only a good password pass.

        Raises:
            Invalid: it is easily guessed; says why, and what to do.
        """
        found = await self.judge(password, about)
        if not found.enough:
            raise Invalid(found.says, where)


def judge(password: str, words: Sequence[str]) -> Strength:
    """The same on this thread, for words in small letters, the longest first."""
    from zxcvbn import zxcvbn  # 20 MB of words, which a process that judges none does not need

    looked_at = password[:LOOKED_AT]
    with _ONE_AT_A_TIME:
        found = zxcvbn(looked_at, user_inputs=list(words))
        # zxcvbn gives much for the order of such words and for what is between them: what they hide must be good, too.
        bare = re.sub("|".join(re.escape(word) for word in words), "", looked_at, flags=re.IGNORECASE)
        rest = found if bare == looked_at else zxcvbn(bare or " ")
    score, of_rest = int(found["score"]), int(rest["score"])
    if min(score, of_rest) >= LEAST:
        return Strength(min(score, of_rest), "")
    return Strength(min(score, of_rest), _say(found["sequence"] if score < LEAST else ()))


def _say(sequence: Iterable[Mapping[str, object]]) -> str:
    """What zxcvbn found the longest part of the password to be; nothing: it is made of what others know."""
    longest = max(sequence, key=lambda part: len(str(part["token"])), default=None)
    why: str | None = _WHY_WORD["user_inputs"]
    if longest is not None:
        pattern = str(longest["pattern"])
        ours = _WHY_WORD.get(str(longest.get("dictionary_name")), "it is little more than a common word")
        why = ours if pattern == "dictionary" else _WHY.get(pattern)
    return f"This password is easily guessed: {why or 'it is short and simple'}. {_ADVICE}"


def _words(texts: Iterable[str]) -> list[str]:
    """The texts and their parts, as somebody who guesses would put them in."""
    found: dict[str, None] = {}
    for text in texts:
        for word in [text, *re.split(r"[\W_]+", text)]:
            if len(word) > 2:
                found[word.lower()] = None
    return sorted(found, key=len, reverse=True)
