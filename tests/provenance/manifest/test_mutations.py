"""Files bent at random: no crash, no traceback, and nothing forged is ever trusted.

COUNTERMARK_MUTATIONS sets how many (default a few hundred).
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable

import pytest

from provenance.manifest.container import Kind, scan
from provenance.manifest.finding import State
from provenance.manifest.read import Trust, read, read_parent
from provenance.manifest.write import sign
from tests.provenance.manifest.files import KINDS, NOW, Authority, decoded, make_claim, picture

MUTATIONS = int(os.environ.get("COUNTERMARK_MUTATIONS", "300"))
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)

Bend = Callable[[bytearray, int, random.Random], None]


def flip(data: bytearray, at: int, rng: random.Random) -> None:
    data[at] ^= 1 << rng.randrange(8)


def put_extreme(data: bytearray, at: int, rng: random.Random) -> None:
    data[at] = rng.choice(EXTREMES)


def put_number(data: bytearray, at: int, rng: random.Random) -> None:
    data[at : at + 4] = rng.choice([0, 1, 7, 8, 2**31 - 1, 2**31, 2**32 - 1]).to_bytes(4, "big")


def cut(data: bytearray, at: int, rng: random.Random) -> None:
    del data[at : at + rng.randrange(1, 40)]


def cut_off(data: bytearray, at: int, rng: random.Random) -> None:
    del data[at:]


def double(data: bytearray, at: int, rng: random.Random) -> None:
    data[at:at] = data[at : at + rng.randrange(1, 200)]


def insert(data: bytearray, at: int, rng: random.Random) -> None:
    data[at:at] = rng.randbytes(rng.randrange(1, 20))


def move(data: bytearray, at: int, rng: random.Random) -> None:
    piece = data[at : at + rng.randrange(1, 60)]
    cut_at = rng.randrange(len(data))
    data[cut_at : cut_at + len(piece)] = piece


BENDS: list[Bend] = [flip, flip, put_extreme, put_number, cut, cut_off, double, insert, move]


def bend(file: bytes, rng: random.Random) -> bytes:
    """One to three bends, most of them in the manifest."""
    data, found = bytearray(file), scan(file)
    for _ in range(rng.choice([1, 1, 2, 3])):
        inside = rng.random() < 0.75
        start, end = (found.start, found.start + found.length) if inside else (0, len(data))
        at = min(rng.randrange(start, end), max(len(data) - 1, 0))
        if data:
            rng.choice(BENDS)(data, at, rng)
    return bytes(data)


@pytest.mark.parametrize("kind", KINDS)
def test_no_bent_file_is_trusted_for_more_than_it_was(
    kind: Kind, authority: Authority, trust: Trust
) -> None:
    first = sign(picture(kind, side=16), make_claim(1), authority.signer)
    parent = read_parent(first.file, trust)
    edit = sign(picture(kind, side=16), make_claim(2), authority.signer, parent=parent)
    rng = random.Random(f"mutations of {kind}")
    seen: Counter[State] = Counter()
    for number in range(MUTATIONS // len(KINDS)):
        file = (first.file, edit.file)[number % 4 == 3]
        bent = bend(file, rng)
        found = read(bent, trust, now=NOW)
        seen[found.state] += 1
        if found.state is State.TRUSTED:
            assert found.statement == read(file, trust, now=NOW).statement, bent.hex()
            assert decoded(bent) == decoded(file), bent.hex()
    print(kind, {state.value: count for state, count in seen.items()})  # noqa: T201
    assert seen.total() == MUTATIONS // len(KINDS)
    assert seen[State.INVALID] + seen[State.UNBOUND] > seen.total() // 2
