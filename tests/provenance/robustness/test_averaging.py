import numpy as np
import pytest

from provenance.robustness.attacks import attacked
from provenance.robustness.averaging import forgery, pattern, removal
from tests.provenance.robustness.pictures import drawing

SHIPPED = 0.03 * np.sign(np.random.default_rng(9).standard_normal((3, 64, 64))).astype(np.float32)
CLEAN = [drawing(seed) for seed in range(120)]
MARKED = [np.clip(drawing(1000 + seed) + SHIPPED, 0, 1) for seed in range(120)]


def correlation(difference: np.ndarray) -> float:
    return float(np.corrcoef(difference.ravel(), SHIPPED.ravel())[0, 1])


def test_averaging_finds_a_pattern_that_ignores_content() -> None:
    few, many = (correlation(pattern(MARKED[:n], CLEAN[:n])) for n in (5, 120))
    assert many > 0.8
    assert many > few


def test_removal_takes_the_pattern_off_and_forgery_puts_it_on() -> None:
    known = pattern(MARKED, CLEAN)
    left = attacked(MARKED[0], removal(known), seed=0) - drawing(1000)
    assert abs(correlation(left)) < 0.5 < correlation(MARKED[0] - drawing(1000))
    put = attacked(CLEAN[0], forgery(known), seed=0) - CLEAN[0]
    assert correlation(put) > 0.8


def test_pictures_of_two_sizes_or_none_are_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        pattern([drawing(0, 32, 32)], CLEAN[:1])
    with pytest.raises(ValueError, match="one size"):
        pattern([], CLEAN[:1])
    with pytest.raises(ValueError, match="the picture"):
        attacked(drawing(0, 32, 32), removal(SHIPPED), seed=0)
