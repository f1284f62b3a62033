"""Scores that moved are seen, chance is not."""

import numpy as np
import pytest

from provenance.forensics.drift import TooFew, compare

RNG = np.random.default_rng(0)


def test_scores_that_moved_are_seen() -> None:
    found = compare(list(RNG.normal(size=200)), list(RNG.normal(0.8, 1, size=200)))
    assert found.moved
    assert found.medians[1] > found.medians[0]


def test_chance_is_no_drift() -> None:
    alarms = sum(
        compare(list(RNG.normal(size=60)), list(RNG.normal(size=60))).moved for _ in range(200)
    )
    assert alarms <= 2


def test_a_short_period_is_not_compared() -> None:
    with pytest.raises(TooFew, match="49 scores after"):
        compare([0.0] * 50, [0.0] * 49)
