"""Measure how often a mark is still found after each attack, at one threshold for all attacks.

A score is evidence: a finite number that is larger the surer the mark is, -log10 p where there is
a p-value. A threshold never depends on the attack: nobody who finds a picture knows what happened
to it. Rates come with Clopper-Pearson intervals (95 %) over pictures; they say nothing about
pictures unlike those measured.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from provenance.image import Pixels
from provenance.robustness import files, quality
from provenance.robustness.attacks import Attack, attacked

Score = Callable[[Pixels], float]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Threshold:
    """A picture is found when its evidence is at least value."""

    name: str
    value: float


@dataclass(frozen=True)
class Rate:
    """Found so many of so many, with the 95 % interval of the true rate."""

    found: int
    of: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Found over all."""
        return self.found / self.of


@dataclass(frozen=True)
class Row:
    """One attack: a rate for each threshold, and what the attack did to the pictures.

    psnr (dB, of the mean squared error over all pictures) is None when the pictures are unchanged
    or change size; seconds are means a picture.
    """

    attack: str
    rates: tuple[Rate, ...]
    median: float
    psnr: float | None
    ssim: float | None
    attack_seconds: float
    score_seconds: float


@dataclass(frozen=True)
class Table:
    """One method over all attacks."""

    method: str
    pictures: int
    seed: int
    thresholds: tuple[Threshold, ...]
    rows: tuple[Row, ...]

    def mean(self, threshold: int) -> float:
        """The mean share found over the attacks, at the threshold of this index."""
        return float(np.mean([row.rates[threshold].share for row in self.rows]))


def at_p(p: float) -> Threshold:
    """Found when the score, which must be -log10 of a true p-value, says at most p."""
    if not 0 < p < 1:
        raise ValueError(f"p must be in (0, 1), got {p}")
    return Threshold(f"p <= {p:g}", float(-np.log10(p)))


def at_rate(nulls: Sequence[float], rate: float) -> Threshold:
    """The lowest threshold at which at most this share of the unmarked pictures is found.

    ValueError if there are fewer than 1 / rate of them: such a rate cannot be seen.
    """
    allowed = int(rate * len(nulls) + 1e-9)
    if not 0 < rate < 1 or allowed < 1:
        raise ValueError(f"a rate of {rate:g} cannot be set on {len(nulls)} unmarked pictures")
    ranked = sorted((_finite(score, "an unmarked picture") for score in nulls), reverse=True)
    if allowed >= len(ranked):
        raise ValueError(f"a rate of {rate:g} leaves none of {len(nulls)} pictures unfound")
    return Threshold(
        f"{allowed} of {len(nulls)} unmarked", float(np.nextafter(ranked[allowed], np.inf))
    )


def rate(found: int, of: int) -> Rate:
    """The share found with its Clopper-Pearson interval."""
    if not 0 <= found <= of or of == 0:
        raise ValueError(f"cannot find {found} of {of}")
    low = float(stats.beta.ppf(0.025, found, of - found + 1)) if found else 0.0
    high = float(stats.beta.ppf(0.975, found + 1, of - found)) if found < of else 1.0
    return Rate(found, of, low, high)


def measure(
    pictures: Sequence[Pixels],
    attacks: Iterable[Attack],
    score: Score | Sequence[Score],
    *,
    method: str,
    thresholds: Sequence[Threshold],
    seed: int,
) -> Table:
    """Every picture through every attack; a list of scores has one for each picture's own key."""
    scores = [score] * len(pictures) if callable(score) else list(score)
    rows = [
        measure_attack(pictures, attack, scores, thresholds=thresholds, seed=seed)
        for attack in attacks
    ]
    return Table(method, len(pictures), seed, tuple(thresholds), tuple(rows))


def measure_attack(
    pictures: Sequence[Pixels],
    attack: Attack,
    scores: Sequence[Score],
    *,
    thresholds: Sequence[Threshold],
    seed: int,
    clock: Clock = time.perf_counter,
) -> Row:
    """One row of the table; ValueError if there is nothing to measure or a score is no number."""
    if not pictures or not thresholds or len(scores) != len(pictures):
        raise ValueError(
            f"nothing to measure: {len(pictures)} pictures, {len(scores)} scores, "
            f"{len(thresholds)} thresholds"
        )
    evidence, distances, spent = [], [], [0.0, 0.0]
    for number, (pixels, score) in enumerate(zip(pictures, scores, strict=True)):
        start = clock()
        copy = attacked(pixels, attack, seed=_seed(seed, attack.name, number))
        between = clock()
        evidence.append(_finite(score(copy), f"{attack.name} on picture {number}"))
        spent = [spent[0] + between - start, spent[1] + clock() - between]
        distances.append(_distance(files.rounded(pixels), copy))
    psnr, ssim = _kept(distances)
    return Row(
        attack=attack.name,
        rates=tuple(rate(sum(e >= t.value for e in evidence), len(evidence)) for t in thresholds),
        median=float(np.median(evidence)),
        psnr=psnr,
        ssim=ssim,
        attack_seconds=spent[0] / len(pictures),
        score_seconds=spent[1] / len(pictures),
    )


def _distance(pixels: Pixels, copy: Pixels) -> tuple[float, float] | None:
    """Mean squared error and SSIM; None where there is no comparing."""
    if pixels.shape != copy.shape or min(pixels.shape[1:]) < quality.SMALLEST:
        return None
    return quality.mean_squared_error(pixels, copy), quality.ssim(pixels, copy)


def _kept(distances: Sequence[tuple[float, float] | None]) -> tuple[float | None, float | None]:
    known = [distance for distance in distances if distance is not None]
    if len(known) < len(distances):
        return None, None
    error, ssim = (float(x) for x in np.mean(known, axis=0))
    return (quality.decibels(error) if error else None), ssim


def _seed(seed: int, attack: str, picture: int) -> int:
    digest = hashlib.blake2b(f"{seed}/{attack}/{picture}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _finite(score: float, where: str) -> float:
    if not np.isfinite(score):
        raise ValueError(f"the score of {where} is {score}, not a finite number")
    return float(score)
