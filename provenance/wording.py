"""Does a prompt name a concept, however it is written? Words compared, spelling tricks undone.

A prompt is read as words of a to z: compatibility forms are folded (NFKC), accents and invisible
characters dropped, letters of other scripts that look Latin become the Latin ones (after the
confusables of UTS 39, those that occur in words), digits and signs that stand for letters are read
so, letters that were spaced out are joined. Then a concept's phrase is found if its words stand in
the prompt in a row, in singular or plural, or one letter apart in a long word. Each finding says
how it was found and which characters of the prompt it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

LONG = 6  # letters from which a word may be one letter off
SMALL = frozenset(("a", "an", "the", "of", "some", "any", "my", "your", "his", "her", "its"))

_LOOKALIKES = {
    **dict(zip("абвгдеёзіїјкмнорсстухԁһѕԛԝҽո", "abbrdee3iijkmhopccтyxdhsqwen", strict=False)),
    **dict(zip("αβγδεζηικλνορσςτυχω", "abydezniklvopсctuxw", strict=False)),
    "т": "t", "с": "c", "в": "b", "м": "m", "н": "h", "к": "k", "г": "r", "ո": "n", "ս": "u",
    "օ": "o", "ց": "g", "հ": "h", "յ": "j", "ӏ": "l", "ǀ": "l", "ı": "i", "ł": "l", "ø": "o",
    "đ": "d", "ħ": "h", "ß": "ss", "æ": "ae", "œ": "oe", "þ": "p", "ð": "d", "ŋ": "n", "ɡ": "g",
    "ɑ": "a", "ʀ": "r", "ɴ": "n", "ᴜ": "u", "ᴏ": "o", "ᴀ": "a", "ᴇ": "e", "ʙ": "b", "ᴍ": "m",
    "ᴅ": "d", "ᴋ": "k", "ʟ": "l", "ꜱ": "s", "ᴛ": "t", "ɢ": "g", "ɪ": "i", "ᴡ": "w", "ᴘ": "p",
    "ο": "o", "σ": "o", "ς": "c", "ρ": "p", "ν": "v", "η": "n", "μ": "u", "π": "n", "ѵ": "v",
}  # fmt: skip
_SIGNS = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g"}
_SIGNS |= {"@": "a", "$": "s", "!": "i", "|": "l", "€": "e", "£": "l", "+": "t"}

_STYLE = re.compile(r"in the (?:style|manner|fashion|look) of (.+)")


class How(StrEnum):
    """By what a phrase was found."""

    PHRASE = "phrase"  # as it is spelt
    LOOKALIKE = "lookalike"  # in letters of another script, with accents, or characters unseen
    SPELLING = "spelling"  # with signs for letters, spaced out, or a letter off


@dataclass(frozen=True)
class Found:
    """A phrase in a prompt: which, how, and the characters start to end."""

    phrase: str
    how: How
    start: int
    end: int


@dataclass(frozen=True)
class _Word:
    """Letters of a word, its characters in the prompt, and how much had to be undone."""

    letters: str
    start: int
    end: int
    how: How
    spaced: bool = True  # whether a space stands before it


def find(prompt: str, phrases: Sequence[str]) -> Found | None:
    """The first phrase that the prompt has, by the phrases' order; None if it has none."""
    words = list(_words(prompt))
    rows = (words, list(_joined(words)), list(_hyphened(words)))
    for phrase in phrases:
        for wanted in filter(None, (content(phrase), content(_named(phrase)))):
            for row in rows:
                found = _find(row, wanted)
                if found is not None:
                    return Found(phrase, *found)
    return None


def _named(phrase: str) -> str:
    """Whose style a phrase says, if that is a name: "in the style of Rembrandt"; else nothing.

    A style is asked for in many ways (a look, a manner, "as he would draw it"), and all of them
    say the name, so the name is what is looked for.
    """
    whose = _STYLE.match(phrase)
    return whose[1] if whose is not None and whose[1][0].isupper() else ""


def content(phrase: str) -> list[str]:
    """The words of a phrase that say something."""
    return [word.letters for word in _words(phrase) if word.letters not in SMALL]


def _find(words: list[_Word], wanted: list[str]) -> tuple[How, int, int] | None:
    said = [word for word in words if word.letters not in SMALL]
    for start in range(len(said) - len(wanted) + 1):
        row = said[start : start + len(wanted)]
        exact = [_same(word.letters, want) for word, want in zip(row, wanted, strict=True)]
        near = [_near(word.letters, want) for word, want in zip(row, wanted, strict=True)]
        if all(a or b for a, b in zip(exact, near, strict=True)):
            hows = {word.how for word in row}
            if not all(exact) or How.SPELLING in hows:
                how = How.SPELLING
            else:
                how = How.LOOKALIKE if How.LOOKALIKE in hows else How.PHRASE
            return how, row[0].start, row[-1].end
    return None


def _same(word: str, want: str) -> bool:
    """Equal but for the plural."""
    return bool(_stems(word) & _stems(want))


def _stems(word: str) -> set[str]:
    stems = {word}
    if len(word) > 3 and word.endswith("s"):
        stems.add(word[:-1])
    if len(word) > 4 and word.endswith("es"):
        stems.add(word[:-2])
    if len(word) > 4 and word.endswith("ies"):
        stems.add(word[:-3] + "y")
    return stems


def _near(word: str, want: str) -> bool:
    """One letter more, fewer, other, or two neighbours exchanged, in a long word."""
    if min(len(word), len(want)) < LONG or abs(len(word) - len(want)) > 1:
        return False
    short, long = sorted((word, want), key=len)
    start = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), None)
    if start is None:
        return True
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    swapped = short[start + 1 : start + 2] + short[start : start + 1] + short[start + 2 :]
    return short[start + 1 :] == long[start + 1 :] or swapped == long[start:]


def _joined(words: list[_Word]) -> Iterator[_Word]:
    """The same words, with runs of at least three short pieces put together: g u n, g-u-n."""
    run: list[_Word] = []
    for word in [*words, None]:
        if word is not None and len(word.letters) == 1:
            run.append(word)
            continue
        if run and run[0].letters in SMALL:
            yield run.pop(0)
        if len(run) > 2:
            letters = "".join(one.letters for one in run)
            yield _Word(letters, run[0].start, run[-1].end, How.SPELLING)
        else:
            yield from run
        run = []
        if word is not None:
            yield word


def _hyphened(words: list[_Word]) -> Iterator[_Word]:
    """The same words, with those put together that one character parts which is not a space."""
    last: _Word | None = None
    for word in words:
        if last is not None and last.end + 1 == word.start and not word.spaced:
            letters = last.letters + word.letters
            last = _Word(letters, last.start, word.end, How.SPELLING, last.spaced)
            continue
        if last is not None:
            yield last
        last = word
    if last is not None:
        yield last


def _words(text: str) -> Iterator[_Word]:
    """Words of a to z with their places."""
    letters, start, how = "", 0, How.PHRASE
    ends, parted, spaced = 0, "", True
    for place, sign in enumerate(text):
        plain, kind = _latin(sign, inside=bool(letters) or _starts_word(text, place))
        if plain is None:  # unseen: joins what stands around it
            how = How.LOOKALIKE if letters else how
            continue
        if not plain:
            if letters:
                yield _Word(letters, start, ends, how, spaced)
            letters, how = "", How.PHRASE
            parted = sign
            continue
        if not letters:
            start, spaced = place, not parted or parted.isspace()
        letters, ends = letters + plain, place + 1
        how = max(how, kind, key=list(How).index)
    if letters:
        yield _Word(letters, start, ends, how, spaced)


def _starts_word(text: str, place: int) -> bool:
    """Whether a sign before a letter may stand for one: $word, but not a lone number."""
    return any(one.isalpha() for one in text[place : place + 3])


def _latin(sign: str, *, inside: bool) -> tuple[str | None, How]:
    """Letters a to z of one character, "" for what parts words, None for what nobody sees."""
    category = unicodedata.category(sign)
    if category in ("Cf", "Mn", "Me", "Cc") and not sign.isspace():
        return None, How.LOOKALIKE
    folded = unicodedata.normalize("NFKD", sign.casefold())
    plain = "".join(
        _LOOKALIKES.get(one, one) for one in folded if unicodedata.category(one) not in ("Mn", "Me")
    )
    if plain and all("a" <= one <= "z" for one in plain):
        return plain, How.PHRASE if sign.casefold() == plain else How.LOOKALIKE
    if inside and sign in _SIGNS:
        return _SIGNS[sign], How.SPELLING
    return "", How.PHRASE
