"""The key-compromise drill: what still stands if others have had a key since some time.

Whoever has a key can make records that look as old as he likes, so a date inside a record counts
for nothing. What counts is a tree that a clock outside the installation saw before the compromise:
an entry that such a tree covers was there before. All other records made with the key are undated,
which means not trusted, and not that they are false. Nothing here reads or writes a log.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from provenance.ledger.checkpoint import Signed
from provenance.ledger.errors import NotLogged
from provenance.ledger.record import GivenOut, KeyRotation, Record

_LAST_SECOND = 253_402_300_799  # of the year 9999; a clock beyond it is later than any compromise


class Status(StrEnum):
    """What a record made with the key is worth."""

    TRUSTED = "trusted"
    UNDATED = "undated"


@dataclass(frozen=True)
class Sight:
    """A tree of `size` entries, seen at a time by a clock outside the installation."""

    size: int
    at: datetime
    clock: str


@dataclass(frozen=True)
class Judged:
    """A record made with the key; `sight` is the earliest that covers it, before or after."""

    index: int
    record: Record
    status: Status
    sight: Sight | None


Use = Callable[[int, Record], bool]
"""Whether the record at an index was made with the key."""


def judge(
    entries: Iterable[tuple[int, Record]], sights: Sequence[Sight], *, use: Use, since: datetime
) -> Iterator[Judged]:
    """The status of every record made with the key, in the order of the entries.

    Each sight must be of a tree of this very log: compare its root first.
    """
    by_size = sorted(sights, key=lambda sight: sight.size)
    sizes = [sight.size for sight in by_size]
    earliest = by_size[:]  # of all sights of this size or more
    for place in range(len(earliest) - 2, -1, -1):
        earliest[place] = min(by_size[place], earliest[place + 1], key=lambda sight: sight.at)
    for index, record in entries:
        if use(index, record):
            place = bisect_right(sizes, index)
            sight = earliest[place] if place < len(earliest) else None
            trusted = sight is not None and sight.at < since
            yield Judged(index, record, Status.TRUSTED if trusted else Status.UNDATED, sight)


def sights_of(signed: Signed) -> list[Sight]:
    """What the trusted witnesses of a checkpoint saw."""
    return [
        Sight(signed.checkpoint.size, _date(seconds), witness.name)
        for witness, seconds in signed.witnessed.items()
    ]


def use_of(purpose: str, key: str, rotations: Iterable[tuple[int, KeyRotation]]) -> Use:
    """Which records a key makes; `rotations` are the entries that name it.

    A picture names the key of its mark. Of a manifest or a checkpoint the log only knows which keys
    were in use at its index, from the entry that made the key active to the last that ended it: the
    overlap counts for both keys, for work begun under the old one may finish in it.
    """
    match purpose:
        case "mark":
            return lambda _, record: isinstance(record, GivenOut) and _is_marked(record, key)
        case "claim":
            span = _span(key, rotations)
            return lambda index, record: index in span and isinstance(record, GivenOut)
        case "log":
            span = _span(key, rotations)
            return lambda index, _: index in span
        case _:
            raise NotLogged(f"no record of the log is made with a {purpose} key")


def _is_marked(picture: GivenOut, key: str) -> bool:
    return picture.mark is not None and picture.mark.key == key


def _span(key: str, rotations: Iterable[tuple[int, KeyRotation]]) -> range:
    """The indexes at which the key was in use, without an end while it is active or retiring."""
    ordered = sorted(rotations, key=lambda one: one[0])
    begun = next((index for index, one in ordered if one.active == key), 0)
    ends = [(index, one) for index, one in ordered if one.retired == key]
    over = len(ends) > 1 or any(one.compromised for _, one in ends)
    return range(begun, ends[-1][0] + 1 if over else 2**63 - 1)


def _date(seconds: int) -> datetime:
    return datetime.fromtimestamp(min(seconds, _LAST_SECOND), UTC)
