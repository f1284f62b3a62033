"""Detection written as plainly as it can be, number by number: what the real one must equal."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from provenance.watermark.colouring import Colouring
from provenance.watermark.detect import Bank, GatedBank, View
from provenance.watermark.statistics import FINENESS, FLOOR, RESCALE, Test

EPSILON = 2.0**-52


@dataclass(frozen=True)
class Best:
    """The smallest p of all trials, and whose it is."""

    p: float
    scheme: str
    key_id: str
    list_index: int
    geometry: str


def search(
    views: Iterable[View], banks: Sequence[Bank], *, test: Test, family: int, threshold: float
) -> Best:
    """Every list of every key of every bank on every view up to the first that shows a mark."""
    best = Best(math.inf, "", "", 0, "")
    for view in views:
        for bank in banks:
            weights = _asked(bank, test, view)
            chances = tail([w for w in weights if w], bank.scheme.colouring.gamma)
            for key, index in bank.owners:
                coins = bank.scheme.coins(key, index)
                score = sum(
                    abs(w) for w, coin in zip(weights, coins, strict=True) if coin == (w > 0)
                )
                if chances[score] < best.p:
                    name = bank.scheme.name
                    best = Best(chances[score], name, key.key_id, index, view.geometry)
        if best.p * family <= threshold:
            break
    return best


def _asked(bank: Bank, test: Test, view: View) -> list[int]:
    """The weight of every unit of every scale; none for those that carry a number, if gated."""
    colouring = bank.scheme.colouring
    ranks = _ranks([m for reading in view.readings for m in reading.margin.ravel().tolist()])
    weights = []
    for scale, reading in enumerate(view.readings):
        tokens = reading.tokens.ravel().tolist()
        worth = bank.scheme.worth[scale] if bank.scheme.worth else 1.0
        weights += units(test, colouring, tokens, ranks[: len(tokens)], worth)
        ranks = ranks[len(tokens) :]
    if isinstance(bank, GatedBank):
        assert bank.payload is not None
        weights = [
            0 if carries else w for w, carries in zip(weights, bank.payload.carrying, strict=True)
        ]
    return weights


def _ranks(margins: Sequence[float]) -> list[float]:
    """The share of margins that are smaller, and half of those that are equal."""
    below = {m: sum(other < m for other in margins) for m in set(margins)}
    upto = {m: sum(other <= m for other in margins) for m in set(margins)}
    return [(below[m] + upto[m]) / (2 * len(margins)) for m in margins]


def units(
    test: Test,
    colouring: Colouring,
    tokens: Sequence[int],
    ranks: Sequence[float],
    worth: float = 1.0,
) -> list[int]:
    """The weight of every unit, below zero if its tokens ask for a coin that shows 0."""
    mass = [[0.0, 0.0] for _ in range(colouring.units)]
    count = [0] * colouring.units
    for token, rank in zip(tokens, ranks, strict=True):
        unit = int(colouring.unit[token])
        trust = rank if test is Test.MARGIN else 1.0
        mass[unit][colouring.side[token]] += trust if test is Test.UNIQUE else trust * worth
        count[unit] += 1
    weights = []
    for (behind, ahead), n in zip(mass, count, strict=True):
        lead = ahead - behind
        scale = 2 * FINENESS if test is Test.MARGIN else FINENESS
        weight = round(scale * abs(lead) / math.sqrt(n or 1))
        weight = int(lead != 0) if test is Test.UNIQUE else weight
        weights.append(weight if lead > 0 else -weight)
    return weights


def tail(weights: Sequence[int], gamma: float) -> list[float]:
    """P(sum >= s) for s = 0..total, one coin after the other, rounded upwards."""
    ordered = sorted(map(abs, weights))
    total = sum(ordered)
    mass = [1.0] + [0.0] * total
    for step, weight in enumerate(ordered, start=1):
        won = [0.0] * weight + [m * (gamma / (1 - gamma)) for m in mass[: total + 1 - weight]]
        mass = [lost + more for lost, more in zip(mass, won, strict=True)]
        if step % RESCALE == 0:
            mass = [m * (1 - gamma) ** RESCALE for m in mass]
    mass = [m * (1 - gamma) ** (len(ordered) % RESCALE) for m in mass]
    above, chances = 0.0, []
    for m in reversed(mass):
        above += m
        chances.append(above)
    up = 1 + 2 * (6 * len(ordered) + total + 8) * EPSILON
    return [min(1.0, chance * up + FLOOR) for chance in reversed(chances)]
