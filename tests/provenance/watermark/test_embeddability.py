"""The first strength that survives is taken, and what cannot carry a mark is refused by number."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from provenance.image import Pixels
from provenance.watermark.colouring import independent
from provenance.watermark.detect import Bank
from provenance.watermark.embeddability import CannotCarry, Judge, climb
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.scheme import Scheme
from tests.provenance.watermark.palette import CODES, DIGEST, Palette, tokens

SCHEME = Scheme("test/1", "palette", DIGEST, independent(CODES))
KEY = Key(bytes(range(32)), "acme", 1, KeyState.ACTIVE, datetime(2026, 1, 1, tzinfo=UTC))
JUDGE = Judge(Palette(), Bank(SCHEME, [KEY]))


def draw(share: float) -> Pixels:
    """A picture of which this share is green, and half of the rest."""
    plain = tokens(16, 16)
    favoured = torch.from_numpy(np.flatnonzero(SCHEME.green(KEY, 0)))
    biased = torch.rand(plain.shape, generator=torch.Generator().manual_seed(1)) < share
    mixed = torch.where(biased, favoured[plain % len(favoured)], plain)
    pixels: Pixels = Palette().decode(mixed[None])[0].numpy()
    return pixels


def spoilt(level: float) -> Callable[[Pixels], Pixels]:
    def attack(pixels: Pixels) -> Pixels:
        noise = np.random.default_rng(0).normal(0, level, pixels.shape)
        return np.asarray(np.clip(pixels + noise, 0, 1), np.float32)

    return attack


def test_the_first_strength_that_reaches_the_target_is_taken() -> None:
    drawn: list[float] = []

    def counted(share: float) -> Pixels:
        drawn.append(share)
        return draw(share)

    pixels, attempts = climb([0.0, 0.5, 1.0, 1.0], counted, JUDGE.evidence, target=1e-9)
    assert drawn == [attempt.strength for attempt in attempts] == [0.0, 0.5, 1.0]
    assert [attempt.evidence.p <= 1e-9 for attempt in attempts] == [False, False, True]
    assert np.array_equal(pixels, draw(1.0))


def test_the_attack_that_leaves_least_decides() -> None:
    pixels = draw(1.0)
    mild, strong = spoilt(0.1), spoilt(2.0)
    worst = JUDGE.worst(pixels, [mild, strong, mild])
    assert worst == JUDGE.evidence(strong(pixels))
    assert worst.p > JUDGE.evidence(mild(pixels)).p
    with pytest.raises(ValueError, match="no attack"):
        JUDGE.worst(pixels, [])


def test_a_refusal_says_every_strength_and_its_p() -> None:
    with pytest.raises(CannotCarry, match="strength 0.1: p .* distinct units") as refusal:
        climb([0.0, 0.1], draw, JUDGE.evidence, target=1e-12)
    assert [attempt.strength for attempt in refusal.value.attempts] == [0.0, 0.1]
    assert "too flat" not in str(refusal.value)


def test_a_flat_picture_is_called_flat() -> None:
    flat = np.full((3, 64, 64), 0.4, np.float32)
    with pytest.raises(CannotCarry, match="too flat"):
        climb([1.0], lambda _: flat, JUDGE.evidence, target=1e-6)


def test_a_climb_needs_steps_and_a_target() -> None:
    with pytest.raises(ValueError, match="ladder"):
        climb([], draw, JUDGE.evidence, target=1e-6)
    with pytest.raises(ValueError, match="target"):
        climb([1.0], draw, JUDGE.evidence, target=0.0)
