"""How surely a picture would still show its mark, before it is given out.

The p of the true key is exact for this very picture after this very attack. It is the p of one
trial: whoever searches keys, lists and views multiplies it by their number, so the target must be
that much lower. It promises nothing about other attacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch

from provenance.image import Pixels
from provenance.watermark.detect import Bank, View
from provenance.watermark.errors import MarkError
from provenance.watermark.payload import Message
from provenance.watermark.scan import Reader
from provenance.watermark.search import read_one
from provenance.watermark.statistics import Evidence, Test, weigh

Strength = TypeVar("Strength")
Tried = TypeVar("Tried", covariant=True)
Attack = Callable[[Pixels], Pixels]


@dataclass(frozen=True)
class Attempt(Generic[Tried]):
    """One strength and the evidence that was left of it after the attack."""

    strength: Tried
    evidence: Evidence


class CannotCarry(MarkError):
    """No allowed strength marks this picture so that the target is reached; says the numbers."""

    def __init__(self, attempts: Sequence[Attempt[object]], target: float) -> None:
        self.attempts = tuple(attempts)
        self.target = target
        tried = "; ".join(
            f"strength {a.strength}: p {a.evidence.p:.1e} with {a.evidence.units} distinct units"
            for a in attempts
        )
        least = min(attempt.evidence.least for attempt in attempts)
        flat = "the picture is too flat for any mark: " if least > target else ""
        super().__init__(
            f"{flat}no mark reaches p {target:.1e} (at best {least:.1e} is possible); {tried}"
        )


@dataclass(frozen=True, eq=False)
class Judge:
    """Reads a picture as a detector would, with the true key: row `owner` of the bank's coins."""

    reader: Reader
    bank: Bank
    owner: int = 0
    test: Test = Test.MARGIN

    def evidence(self, pixels: Pixels) -> Evidence:
        """What is read from the pixels (3, 8h, 8w)."""
        stakes = self.bank.stake(self.test, self._view(pixels))
        return weigh(self.test, stakes, self.bank.coins(stakes.unit)[self.owner])

    def message(self, pixels: Pixels) -> Message | None:
        """The number read from the pixels; None if the bank's marks carry none."""
        return self.bank.message(self.test, self._view(pixels), self.owner)

    def _view(self, pixels: Pixels) -> View:
        grid = read_one(self.reader, torch.from_numpy(np.ascontiguousarray(pixels, np.float32)))
        return View(self.bank.scheme.codec_digest, "as drawn", (grid,))

    def worst(self, pixels: Pixels, attacks: Sequence[Attack]) -> Evidence:
        """What is left after that attack which leaves the least."""
        if not attacks:
            raise ValueError("no attack to judge by; the identity is one")
        return max((self.evidence(attack(pixels)) for attack in attacks), key=lambda e: e.p)


def climb(
    ladder: Sequence[Strength],
    draw: Callable[[Strength], Pixels],
    judge: Callable[[Pixels], Evidence],
    *,
    target: float,
) -> tuple[Pixels, tuple[Attempt[Strength], ...]]:
    """The picture of the first strength that reaches the target, and all attempts, it last.

    Strengths are whatever `draw` takes, e.g. a delta, or a delta and a swap; weakest first. Raises
    CannotCarry, with every attempt, if none reaches the target.
    """
    if not ladder or not 0 < target < 1:
        raise ValueError("a climb needs a ladder of strengths and a target between 0 and 1")
    attempts: list[Attempt[Strength]] = []
    for strength in ladder:
        pixels = draw(strength)
        attempts.append(Attempt(strength, judge(pixels)))
        if attempts[-1].evidence.p <= target:
            return pixels, tuple(attempts)
    raise CannotCarry(attempts, target)
