"""Hostile variants of good bytes: COUNTERMARK_MUTATIONS of them, 500 unless told."""

import os
import random
from collections.abc import Iterator

COUNT = int(os.environ.get("COUNTERMARK_MUTATIONS", "500"))
_STRANGE = (
    b"\x00",
    b"\xff",
    b"\n",
    b"\n\n",
    b" ",
    b"=",
    b"+",
    b"0",
    b"-1",
    b"\xe2\x80\x94",
    b'"',
    b"{",
)


def mutations(good: bytes, count: int = COUNT) -> Iterator[bytes]:
    """`count` bytes that differ from `good`, the same at every run."""
    rng = random.Random(good[:64])
    given = 0
    while given < count:
        bad = _change(good, rng)
        for _ in range(rng.choice((0, 0, 0, 1, 4))):
            bad = _change(bad, rng)
        if bad != good:
            given += 1
            yield bad


def _change(data: bytes, rng: random.Random) -> bytes:
    """Flips a bit, or cuts, repeats, moves or inserts a piece."""
    low, high = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    match rng.randrange(6):
        case 0 if data:
            place = rng.randrange(len(data))
            return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
        case 1:
            return data[:low] + data[high:]
        case 2:
            return data[:high] + data[low:]
        case 3:
            return data[:low]
        case 4:
            return data[:low] + rng.choice(_STRANGE) + data[low + rng.randrange(3) :]
        case _:
            return data[:low] + rng.randbytes(rng.randrange(5)) + data[high:]
