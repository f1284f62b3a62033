import numpy as np
import pytest
from scipy import stats

from provenance.robustness.baselines import (
    INDEXMARK_THRESHOLDS,
    indexmark_evidence,
    indexmark_share,
    lbw_evidence,
    lbw_z,
)

GREEN = np.arange(100) % 2 == 0


def test_indexmark_counts_repeats() -> None:
    tokens = np.array([0, 0, 0, 1])
    assert indexmark_share(tokens, GREEN) == 0.75


def test_indexmark_s_published_threshold_is_near_the_p_it_claims() -> None:
    tokens = np.zeros(256, int)
    tokens[round(256 * INDEXMARK_THRESHOLDS[256]) :] = 1
    assert indexmark_evidence(tokens, GREEN) == pytest.approx(3.9, abs=0.15)


def test_lbw_takes_the_best_list_of_the_pool() -> None:
    tokens = np.arange(64) * 2 % 100
    assert lbw_z(tokens, np.stack([~GREEN, GREEN]), gamma=0.5) == pytest.approx(8)
    assert lbw_z(tokens, ~GREEN, gamma=0.5) == pytest.approx(-8)


def test_lbw_z_is_standardised_by_gamma() -> None:
    quarter = np.arange(100) < 25
    tokens = np.arange(100)
    assert lbw_z(tokens, quarter, gamma=0.25) == 0
    assert lbw_z(tokens[:25], quarter, gamma=0.25) == pytest.approx(75**0.5)
    expected = -np.log10(stats.norm.sf(75**0.5))
    assert lbw_evidence(tokens[:25], quarter, gamma=0.25) == pytest.approx(expected)


def test_the_published_statistic_is_over_confident_where_codes_repeat() -> None:
    """Why both are baselines: a picture of one colour is marked under half of all keys."""
    flat = np.zeros(256, int)
    rng = np.random.default_rng(0)
    found = [indexmark_evidence(flat, rng.random(100) < 0.5) > 6 for _ in range(400)]
    assert 0.4 < np.mean(found) < 0.6


@pytest.mark.parametrize("tokens", [np.array([], int), np.array([[0]]), np.array([100])])
def test_tokens_that_do_not_fit_the_list_are_refused(tokens: np.ndarray) -> None:
    with pytest.raises(ValueError, match="tokens"):
        indexmark_share(tokens, GREEN)
