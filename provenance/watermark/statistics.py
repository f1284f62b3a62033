"""Exact tests of a mark, with the chance over the key and nothing else.

Under the null hypothesis a picture was made without knowing the key. Its tokens are then fixed
numbers, however unevenly they repeat, and only the coins are random: independent, each showing 1
with chance gamma. A statistic is a sum of integer weights over the units whose coin is with the
picture, so its distribution is computed exactly, by dynamic programming, for this very picture.
Every p here is an upper bound (rounded upwards, never below 1e-300) and 1.0 when nothing is scored.

Not valid against someone who knows the coins: a forger reaches any p. See docs/decisions/0002.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from provenance.watermark.colouring import Colouring
from provenance.watermark.errors import BadReading

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FLOOR = 1e-300  # larger than all that underflow can lose
RESCALE = 64  # steps between rescalings: neither overflow nor underflow for gamma <= 0.999
FINENESS = 4  # integer steps to a weight of 1: finer gains no power and costs time
EXPONENTS = np.geomspace(0.01, 30, 40)  # for Chernoff's bound, over the scale of the weights


class Test(StrEnum):
    """How a unit's tokens become its weight; the version changes when any p may change."""

    __test__ = False  # not a pytest class

    UNIQUE = "unique/1"
    WEIGHTED = "weighted/1"
    MARGIN = "margin/1"


@dataclass(frozen=True, eq=False)
class Stakes:
    """What one picture asks of the coins: U units, each with a side, a weight and its tokens."""

    unit: Integers  # (U,)
    side: NDArray[np.int8]  # (U,) the side with more tokens
    weight: Integers  # (U,) > 0, gained when the unit's coin shows that side
    ahead: Integers  # (U,) tokens on that side
    behind: Integers  # (U,) tokens on the other
    gamma: float

    @property
    def least(self) -> float:
        """The smallest p this picture can reach, with every coin on its side."""
        return attainable(len(self.unit), self.gamma)

    @cached_property
    def chances(self) -> Floats:
        """The p of every statistic, 0 to the total: one null distribution for all sets of coins."""
        return tail(self.weight, self.gamma)

    @cached_property
    def _moments(self) -> tuple[Floats, Floats]:
        """Exponents, and the logarithm of the mean of e^(exponent * statistic) for each."""
        count = np.bincount(self.weight)
        weight = np.flatnonzero(count)
        count = count[weight]
        scale = math.sqrt(float(count @ weight**2) / len(self.unit))
        exponents = EXPONENTS / scale
        ones = math.log(self.gamma) + exponents[:, None] * weight
        return exponents, np.logaddexp(math.log1p(-self.gamma), ones) @ count

    def bound(self, statistic: int) -> float:
        """Chernoff's bound on P(sum >= statistic), far cheaper than the exact chances.

        The best of a ladder of exponents, each of which gives a bound.
        """
        if not len(self.unit):
            return 1.0
        exponents, means = self._moments
        best = float((means - exponents * statistic).min())
        return min(1.0, math.exp(max(best, math.log(FLOOR))))


@dataclass(frozen=True)
class Evidence:
    """One test's result: p bounds the chance, over keys, of a statistic as high as this."""

    test: Test
    statistic: int
    green: int  # green tokens
    scored: int  # tokens in scored units
    units: int  # independent coins scored
    p: float
    least: float  # the smallest p that was possible

    @property
    def log10_p(self) -> float:
        return math.log10(self.p)


def stake(
    test: Test,
    colouring: Colouring,
    tokens: NDArray[np.integer],
    margin: NDArray[np.floating],
    *,
    worth: Floats | None = None,
) -> Stakes:
    """Weigh the units of a picture by its tokens and reading margins (same shape, any shape).

    `worth` (N,) is how much each token counts, above 0 and at most 1; None: all the same. It must
    not depend on any key, as margins do not, so that the coins alone are left to chance.
    """
    codes = _check_tokens(colouring, tokens, margin)
    trust = _trust(margin.ravel().astype(np.float64)) if test is Test.MARGIN else None
    if worth is not None and test is not Test.UNIQUE:
        trust = worth if trust is None else trust * worth
    slot = 2 * colouring.unit[codes].astype(np.int64) + colouring.side[codes]
    count = np.bincount(slot, minlength=2 * colouring.units).reshape(-1, 2)
    mass = np.bincount(slot, trust, minlength=2 * colouring.units).reshape(-1, 2)
    ahead = np.flatnonzero(mass[:, 0] != mass[:, 1])  # few: all that follows is cheap
    weight = _weights(test, np.abs(mass[ahead, 1] - mass[ahead, 0]), count[ahead].sum(1))
    unit, weight = ahead[weight > 0], weight[weight > 0]
    side = (mass[unit, 1] > mass[unit, 0]).astype(np.int8)
    return Stakes(
        unit=unit,
        side=side,
        weight=weight,
        ahead=count[unit, side],
        behind=count[unit, 1 - side],
        gamma=colouring.gamma,
    )


def _check_tokens(
    colouring: Colouring, tokens: NDArray[np.integer], margin: NDArray[np.floating]
) -> Integers:
    if tokens.shape != margin.shape:
        raise BadReading(f"tokens {tokens.shape} and margins {margin.shape} differ in shape")
    codes = tokens.ravel().astype(np.int64)
    if codes.min(initial=0) < 0 or codes.max(initial=0) >= colouring.codes:
        raise BadReading(f"tokens must lie in 0..{colouring.codes - 1}")
    if not (margin.min(initial=0) >= 0 and margin.max(initial=0) < np.inf):  # NaN is neither
        raise BadReading("margins must be finite and at least 0")
    return codes


def _trust(margin: Floats) -> Floats:
    """How far to trust each reading (N,), in (0, 1): its margin's rank among the picture's own.

    Ranks need no calibration to a codec or an attack; equal margins have equal ranks.
    """
    ordered = np.sort(margin)
    below = np.searchsorted(ordered, margin, side="left")
    upto = np.searchsorted(ordered, margin, side="right")
    rank: Floats = (below + upto) / (2 * max(len(margin), 1))
    return rank


def _weights(test: Test, lead: Floats, count: Integers) -> Integers:
    """Integer weights (units,) from how far one side leads and how many tokens there are.

    Without margins and with one side this is FINENESS * sqrt(count): repeats of a code add
    evidence, but ever less of it.
    """
    match test:
        case Test.UNIQUE:
            weight = (lead > 0).astype(np.float64)
        case Test.WEIGHTED:
            weight = FINENESS * lead / np.sqrt(np.maximum(count, 1))
        case Test.MARGIN:  # the mean rank is a half
            weight = 2 * FINENESS * lead / np.sqrt(np.maximum(count, 1))
        case _:
            assert_never(test)
    return np.rint(weight).astype(np.int64)


def tail(weights: Integers, gamma: float) -> Floats:
    """P(sum >= s) for s = 0..total, each an upper bound; a coin of chance gamma a weight."""
    ordered = np.sort(weights)  # small ones first keep the early steps short
    total, pad = int(ordered.sum()), int(ordered.max(initial=0))
    # mass of 0..total after `pad` zeros, up to the factor (1 - gamma) ** units still to be applied
    mass, spare = np.zeros(pad + total + 1), np.zeros(pad + total + 1)
    mass[pad] = 1.0
    odds = gamma / (1 - gamma)
    end = pad + 1
    for step, weight in enumerate(ordered.tolist(), start=1):
        end += weight
        won = mass[pad - weight : end - weight]
        np.add(mass[pad:end], won if odds == 1 else odds * won, out=spare[pad:end])
        mass, spare = spare, mass
        if step % RESCALE == 0:
            mass *= (1 - gamma) ** RESCALE
    mass = mass[pad:] * (1 - gamma) ** (len(ordered) % RESCALE)
    above = mass[::-1].cumsum()[::-1]
    roundings = 6 * len(ordered) + total + 8
    bound: Floats = above * (1 + 2 * roundings * np.finfo(np.float64).eps) + FLOOR
    return np.minimum(bound, 1.0)


def attained(stakes: Stakes, level: float) -> float:
    """The exact chance, over keys, that this picture's p is at most a level (and never above it).

    Sums of integers come in steps, so this is a little less than the level; a bench compares the
    hits it counts with this number, from both sides.
    """
    chances = stakes.chances
    return float(chances[chances <= level].max(initial=0.0))


def attainable(units: int, gamma: float) -> float:
    """The smallest p that `units` scored units can reach: all of them green."""
    return min(1.0, gamma**units * (1 + 1e-12) + FLOOR)


def statistics(stakes: Stakes, coins: Bools) -> Integers:
    """The statistic under each of K sets of coins, (K, units) -> (K,)."""
    won = coins[:, stakes.unit] == (stakes.side == 1)
    sums: Integers = won @ stakes.weight
    return sums


def weigh(test: Test, stakes: Stakes, coins: Bools) -> Evidence:
    """The evidence in a picture's stakes for one set of coins (units,)."""
    won = coins[stakes.unit] == (stakes.side == 1)
    statistic = int(stakes.weight[won].sum())
    return Evidence(
        test=test,
        statistic=statistic,
        green=int(np.where(won, stakes.ahead, stakes.behind).sum()),
        scored=int((stakes.ahead + stakes.behind).sum()),
        units=len(stakes.unit),
        p=float(stakes.chances[statistic]),
        least=stakes.least,
    )


def examine(
    test: Test,
    colouring: Colouring,
    coins: Bools,
    tokens: NDArray[np.integer],
    margin: NDArray[np.floating],
) -> Evidence:
    """Test one reading against one set of coins (units,)."""
    return weigh(test, stake(test, colouring, tokens, margin), coins)
