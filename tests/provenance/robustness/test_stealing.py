import numpy as np
import pytest
from scipy import stats

from provenance.robustness.stealing import (
    Grids,
    coloured_share,
    drawn_grids,
    forged,
    mass,
    measure_theft,
    steal_list,
    steal_pool,
)

CODES, TOKENS = 1024, 256
RNG = np.random.default_rng(11)
TRUE = RNG.permutation(1 / np.arange(1, CODES + 1) ** 0.7)
TRUE /= TRUE.sum()
POOL = RNG.random((4, CODES)) < 0.5
CORPUS = drawn_grids(TRUE, np.ones(CODES, bool), delta=0, shape=(800, TOKENS), rng=RNG)


def marked(pool: np.ndarray, delta: float, pictures: int) -> Grids:
    rng = np.random.default_rng(5)
    return drawn_grids(TRUE, pool, delta=delta, shape=(pictures, TOKENS), rng=rng)


def evidence(tokens: np.ndarray) -> float:
    """The unique-code binomial, best list of POOL, corrected for their number."""
    codes = np.unique(tokens)
    tails = [stats.binom.logsf(green[codes].sum() - 1, codes.size, 0.5) for green in POOL]
    return float(-min(tails) / np.log(10) - np.log10(len(POOL)))


def test_mass_is_positive_and_sums_to_one() -> None:
    clean = mass(np.array([[0, 0, 2]]), 4)
    assert clean.sum() == pytest.approx(1)
    assert clean[0] > clean[2] > clean[1] == clean[3] > 0


@pytest.mark.parametrize("delta", [2.0, np.inf])
def test_a_single_list_is_stolen_by_counting_and_more_pictures_give_more(delta: float) -> None:
    clean = mass(CORPUS, CODES)
    grids = marked(POOL[0], delta, 200)
    shares = [coloured_share(steal_list(grids[:n], clean), POOL[0], TRUE) for n in (2, 20, 200)]
    assert shares == sorted(shares)
    assert shares[0] < 0.85
    assert shares[2] > 0.95


def test_unmarked_pictures_give_nothing_away() -> None:
    stolen = steal_list(CORPUS[:200], mass(CORPUS[200:], CODES))
    assert coloured_share(stolen, POOL[0], TRUE) == pytest.approx(0.5, abs=0.06)


def test_a_pool_resists_counting_but_not_the_mixture() -> None:
    clean = mass(CORPUS, CODES)
    grids = marked(POOL, np.inf, 400)
    counted = coloured_share(steal_list(grids, clean), POOL, TRUE)
    pulled = steal_pool(grids, clean, lists=4, restarts=2, rng=np.random.default_rng(0))
    assert counted < 0.8
    assert coloured_share(pulled, POOL, TRUE) > 0.95
    matches = {int(np.argmax([TRUE[guess == true].sum() for true in POOL])) for guess in pulled}
    assert matches == {0, 1, 2, 3}


def test_a_pool_of_one_is_the_list() -> None:
    clean = mass(CORPUS, CODES)
    grids = marked(POOL[0], 2.0, 50)
    rng = np.random.default_rng(0)
    pulled = steal_pool(grids, clean, lists=1, restarts=1, rng=rng)
    assert np.array_equal(pulled[0], steal_list(grids, clean))


def test_pictures_all_alike_are_still_pulled_apart_without_an_error() -> None:
    grids = np.repeat(CORPUS[:1], 4, axis=0)
    rng = np.random.default_rng(0)
    pulled = steal_pool(grids, mass(CORPUS, CODES), lists=2, restarts=1, rng=rng)
    assert pulled.shape == (2, CODES)


def test_fewer_pictures_than_lists_are_refused() -> None:
    clean, rng = mass(CORPUS, CODES), np.random.default_rng(0)
    with pytest.raises(ValueError, match="3 pictures cannot be told apart into 4 lists"):
        steal_pool(CORPUS[:3], clean, lists=4, restarts=1, rng=rng)


def test_a_forged_grid_is_all_inside_the_list_and_keeps_what_already_was() -> None:
    grid = forged(CORPUS[0], POOL[0], TRUE, np.random.default_rng(1))
    assert POOL[0][grid].all()
    kept = POOL[0][CORPUS[0]]
    assert np.array_equal(grid[kept], CORPUS[0][kept])
    with pytest.raises(ValueError, match="without codes"):
        forged(CORPUS[0], np.zeros(CODES, bool), TRUE, np.random.default_rng(1))


@pytest.mark.parametrize("pool", [POOL[:1], POOL])
def test_theft_reports_what_the_real_detector_says_of_forgeries(pool: np.ndarray) -> None:
    grids = marked(pool, np.inf, 300)
    thefts = [
        measure_theft(
            grids,
            CORPUS,
            pool,
            evidence,
            pictures=n,
            forgeries=8,
            rng=np.random.default_rng(2),
        )
        for n in (5, 300)
    ]
    assert thefts[0].coloured < thefts[1].coloured
    assert len(thefts[1].evidence) == 8
    assert np.median(thefts[1].evidence) > 15
    assert max(evidence(grid) for grid in CORPUS[:50]) < 5


def test_theft_from_more_pictures_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot steal from 9 of 3"):
        measure_theft(
            CORPUS[:3], CORPUS, POOL, evidence, pictures=9, forgeries=1, rng=np.random.default_rng()
        )


def test_drawn_grids_are_biased_by_delta() -> None:
    hard = marked(POOL[0], np.inf, 20)
    soft = marked(POOL[0], 2.0, 20)
    green = TRUE[POOL[0]].sum()
    assert POOL[0][hard].all()
    expected = green / (green + (1 - green) * np.exp(-2))
    assert POOL[0][soft].mean() == pytest.approx(expected, abs=0.02)
