"""A number of 32 to 40 bits in the mark: which record to look up.

Half of the units, the same for every key, carry the number; the others keep the coins of the
scheme, and only they are asked whether there is a mark at all, so that presence is tested as
exactly as without a payload. The coin of a carrying unit is turned by the parity of the bits that
the key chose for it: a random linear code as long as the codebook, of which every picture shows the
units it happens to have. The number 0 turns no coin: it is the plain mark of the scheme, without a
number. Read the number only after the presence was found.

A number is given only with a bound on the chance that any wrong one fits so well. For a wrong
number d = right ^ wrong is not 0, and the parities of d are fair coins whatever was drawn: the
bound is the exact tail of the score times 2 ** bits. See docs/decisions/0003-payload.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from provenance.watermark.errors import BadColouring
from provenance.watermark.keys import Domain, Key, values
from provenance.watermark.scheme import Scheme
from provenance.watermark.statistics import Stakes

Bools = NDArray[np.bool_]
Bits = NDArray[np.uint8]

LEAST_BITS, MOST_BITS = 8, 40
NO_NUMBER = 0
THRESHOLD = 1e-6
ORDER = 2  # errors allowed among the independent units that a guess starts from
BASES = 16  # sets of such units: the surest ones first, then mostly sure ones


@dataclass(frozen=True)
class Message:
    """The number that fits a picture best, and the chance bound p that any wrong one does so."""

    number: int | None  # None unless p reaches the threshold
    p: float
    units: int  # carrying units that the picture shows


@dataclass(frozen=True, eq=False)
class Payload:
    """How a scheme with fair coins carries numbers of so many bits."""

    scheme: Scheme
    bits: int = 32

    def __post_init__(self) -> None:
        if not LEAST_BITS <= self.bits <= MOST_BITS:
            raise ValueError(f"a payload has {LEAST_BITS} to {MOST_BITS} bits, not {self.bits}")
        if self.scheme.colouring.gamma != 0.5:
            raise BadColouring("only fair coins (gamma 0.5) carry a payload")

    @cached_property
    def carrying(self) -> Bools:
        """The units (scales * units,) that carry; public, so that all keys share one null."""
        scheme = self.scheme
        start = blake2b(scheme.codec_digest, person=b"countermark.half")
        start.update(f"{scheme.name}\0{scheme.model}\0{scheme.stream}".encode())
        blocks = []
        for block in range(-(-scheme.joint.units // 512)):
            digest = start.copy()
            digest.update(block.to_bytes(8, "big"))
            blocks.append(digest.digest())
        half = np.unpackbits(np.frombuffer(b"".join(blocks), np.uint8))
        carrying: Bools = half[: scheme.joint.units] == 1
        return carrying

    def coins(self, key: Key, list_index: int, number: int) -> Bools:
        """The coins (scales * units,) to mark with, in place of the scheme's own."""
        if not 0 <= number < 2**self.bits:
            raise ValueError(f"a payload of {self.bits} bits cannot hold {number}")
        message = (number >> np.arange(self.bits)).astype(np.uint8) & 1
        parity = self._parities(key, list_index) @ message & 1
        turned: Bools = self.scheme.coins(key, list_index) ^ (parity == 1)
        return turned

    def read(
        self, key: Key, list_index: int, stakes: Stakes, *, threshold: float = THRESHOLD
    ) -> Message:
        """The number in a picture's stakes over all units; ask only where a mark was found."""
        shown = only(stakes, self.carrying)
        rows = self._parities(key, list_index)[shown.unit]
        coins = self.scheme.coins(key, list_index)[shown.unit]
        seen = ((shown.side == 1) ^ coins).astype(np.uint8)
        found = _decode(rows, seen, shown.weight)
        if found is None:
            return Message(None, 1.0, len(shown.unit))
        message, score = found
        p = min(1.0, 2.0**self.bits * float(shown.chances[score]))
        number = sum(int(bit) << place for place, bit in enumerate(message))
        return Message(number if p <= threshold else None, p, len(shown.unit))

    def _parities(self, key: Key, list_index: int) -> Bits:
        """Which bits each unit adds up, (scales * units, bits); 0 for units that do not carry."""
        scheme = self.scheme
        domain = Domain(
            scheme.name,
            scheme.model,
            scheme.codec_digest,
            list_index,
            stream=f"{scheme.stream}/payload-{self.bits}",
        )
        drawn = values(key, domain, scheme.joint.units)
        chosen = (drawn[:, None] >> np.arange(self.bits, dtype=np.uint64)).astype(np.uint8) & 1
        rows: Bits = (chosen * self.carrying[:, None]).astype(np.uint8)
        return rows


def only(stakes: Stakes, units: Bools) -> Stakes:
    """The stakes in these units (scales * units,) alone."""
    kept = units[stakes.unit]
    return replace(
        stakes,
        unit=stakes.unit[kept],
        side=stakes.side[kept],
        weight=stakes.weight[kept],
        ahead=stakes.ahead[kept],
        behind=stakes.behind[kept],
    )


def _decode(rows: Bits, seen: Bits, weight: NDArray[np.int64]) -> tuple[Bits, int] | None:
    """The message (k,) and its score for the parities seen (U,); None if some bit is not shown.

    Information-set decoding (Prange 1962) with the sets taken by reliability (Fossorier and Lin
    1995): of all messages that agree with k independent units but for at most ORDER of them, the
    one with the highest score. The same stakes give the same message.
    """
    rng = np.random.default_rng(0)
    luck = np.concatenate([np.ones((1, len(weight))), rng.random((BASES - 1, len(weight)))])
    patterns = _patterns(rows.shape[1])
    best: tuple[Bits, int] | None = None
    for order in np.argsort(-weight * luck, axis=1, kind="stable"):
        basis, inverse = _basis(rows[order])
        if basis is None:
            return None
        start = inverse @ seen[order[basis]] & 1
        guesses = start ^ (patterns @ inverse.T & 1)
        # float32 counts up to 40 exactly and is multiplied much faster than integers
        sums = guesses.astype(np.float32) @ rows.T.astype(np.float32)
        scores = (sums.astype(np.uint8) & 1 == seen) @ weight
        top = int(scores.argmax())
        if best is None or scores[top] > best[1]:
            best = guesses[top], int(scores[top])
    return best


def _basis(rows: Bits) -> tuple[NDArray[np.intp] | None, Bits]:
    """The first k independent rows (U, k) -> (k,), and the inverse of their matrix (k, k)."""
    k = rows.shape[1]
    left = np.concatenate([rows.T, np.eye(k, dtype=np.uint8)], axis=1)  # (k, U + k)
    columns: list[int] = []
    for column in range(len(rows)):
        at = len(columns)
        if at == k:
            break
        below = np.flatnonzero(left[at:, column])
        if not len(below):
            continue
        left[[at, at + below[0]]] = left[[at + below[0], at]]
        others = left[:, column] == 1
        others[at] = False
        left[others] ^= left[at]
        columns.append(column)
    if len(columns) < k:
        return None, left
    # left = E [rows.T | 1] with E rows[columns].T = 1, so E.T is the inverse of rows[columns]
    return np.array(columns), left[:, len(rows) :].T.copy()


def _patterns(k: int) -> Bits:
    """All patterns (n, k) of at most ORDER ones."""
    places = [chosen for ones in range(ORDER + 1) for chosen in combinations(range(k), ones)]
    patterns = np.zeros((len(places), k), np.uint8)
    for row, chosen in enumerate(places):
        patterns[row, list(chosen)] = 1
    return patterns
