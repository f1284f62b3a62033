"""The null distribution is exact for any picture: compared with every possible set of coins."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from provenance.watermark.colouring import Colouring, clusters, independent, pairs
from provenance.watermark.errors import BadReading
from provenance.watermark.statistics import (
    Test,
    attainable,
    attained,
    examine,
    stake,
    statistics,
    tail,
    weigh,
)
from tests.provenance.watermark import plain

CODES = 12
FLIPS = np.array(list(itertools.product([False, True], repeat=CODES)))
PARTNER = (np.arange(CODES) ^ 1).astype(np.int32)
KINDS = {
    "independent": independent(CODES),
    "quarter": independent(CODES, 0.25),
    "pairs": pairs(PARTNER),
    "clusters": clusters((np.arange(CODES) // 3).astype(np.int32)),
}

pictures = st.lists(
    st.tuples(st.integers(0, CODES - 1), st.floats(0, 9, width=32)), min_size=1, max_size=60
)


def chances(colouring: Colouring) -> NDArray[np.float64]:
    """The probability of each set of coins."""
    ones = FLIPS[: 2**colouring.units, CODES - colouring.units :].sum(1)
    chance: NDArray[np.float64] = colouring.gamma**ones * (1 - colouring.gamma) ** (
        colouring.units - ones
    )
    return chance


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("test", Test)
@settings(max_examples=8, deadline=None)
@given(picture=pictures)
def test_p_is_the_share_of_coins_that_score_as_high(
    test: Test, kind: str, picture: list[tuple[int, float]]
) -> None:
    colouring = KINDS[kind]
    tokens, margin = (np.array(column) for column in zip(*picture, strict=True))
    stakes = stake(test, colouring, tokens, margin)
    sets = FLIPS[: 2**colouring.units, CODES - colouring.units :]
    weights = chances(colouring)
    scores = np.array([weigh(test, stakes, coins).statistic for coins in sets[:: len(sets) // 16]])
    all_scores = statistics(stakes, sets)
    exact = tail(stakes.weight, stakes.gamma)
    for score in scores.tolist():
        assert exact[score] == pytest.approx(weights[all_scores >= score].sum(), rel=1e-9)
        assert stakes.bound(score) >= exact[score] * (1 - 1e-9)


@pytest.mark.parametrize("kind", ["independent", "quarter", "pairs", "clusters"])
@pytest.mark.parametrize("test", Test)
def test_weights_and_chances_are_those_of_the_plain_reference(test: Test, kind: str) -> None:
    rng = np.random.default_rng(17)
    for tokens in (rng.integers(0, CODES, 30), (rng.random(200) ** 4 * CODES).astype(np.int64)):
        margin = rng.permutation(len(tokens)) * 0.5
        stakes = stake(test, KINDS[kind], tokens, margin)
        ranks = ((margin * 2 + 0.5) / len(tokens)).tolist()
        weights = plain.units(test, KINDS[kind], tokens.tolist(), ranks)
        assert stakes.unit.tolist() == np.flatnonzero(weights).tolist()
        assert (np.where(stakes.side, 1, -1) * stakes.weight).tolist() == [w for w in weights if w]
        assert stakes.chances.tolist() == plain.tail([w for w in weights if w], stakes.gamma)


def test_the_chances_of_many_coins_are_those_of_the_plain_reference() -> None:
    weights = np.random.default_rng(18).integers(1, 12, 150)
    for gamma in (0.5, 0.25):
        assert tail(weights, gamma).tolist() == plain.tail(weights.tolist(), gamma)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("test", Test)
def test_the_chance_of_p_below_any_level_is_at_most_that_level(test: Test, kind: str) -> None:
    colouring = KINDS[kind]
    rng = np.random.default_rng(3)
    tokens = rng.choice(CODES, 64, p=np.arange(1, CODES + 1) / np.arange(1, CODES + 1).sum())
    margin = rng.exponential(size=64)
    sets = FLIPS[: 2**colouring.units, CODES - colouring.units :]
    stakes = stake(test, colouring, tokens, margin)
    p = tail(stakes.weight, stakes.gamma)[statistics(stakes, sets)]
    assert p[5] == examine(test, colouring, sets[5], tokens, margin).p
    for level in np.unique(p):
        assert chances(colouring)[p <= level].sum() == pytest.approx(level, rel=1e-9)
        assert attained(stakes, level * 1.000001) == level


def test_the_unique_test_is_the_binomial_tail() -> None:
    ours = tail(np.ones(700, np.int64), 0.25)
    theirs = binom.sf(np.arange(701) - 1, 700, 0.25)
    assert (ours >= theirs * (1 - 1e-9)).all()
    assert ours[:600] == pytest.approx(theirs[:600], rel=1e-8)


def test_tiny_p_neither_vanish_nor_shrink() -> None:
    for units in (900, 1100, 5000):
        exact = tail(np.full(units, 4), 0.5)
        assert exact[-1] >= 1e-300
        assert exact[0] == 1.0
        assert (np.diff(exact) <= 0).all()
    assert tail(np.full(900, 4), 0.5)[-1] == pytest.approx(0.5**900, rel=1e-9)
    assert math.log10(attainable(5000, 0.5)) == pytest.approx(-300)


@pytest.mark.parametrize("gamma", [0.001, 0.1, 0.9, 0.999])
def test_extreme_gamma_keeps_the_mass_at_one(gamma: float) -> None:
    exact = tail(np.ones(3000, np.int64), gamma)
    where = np.unique(np.linspace(0, 3000, 50).astype(int))
    theirs = binom.sf(where - 1, 3000, gamma)
    large = theirs > 1e-290
    assert exact[where][large] == pytest.approx(theirs[large], rel=1e-8)


@pytest.mark.parametrize("test", Test)
def test_nothing_scored_is_no_evidence(test: Test) -> None:
    empty = np.zeros(0, np.int64)
    evidence = examine(test, independent(4), np.ones(4, bool), empty, empty.astype(float))
    assert (evidence.p, evidence.units, evidence.least) == (1.0, 0, 1.0)


@pytest.mark.parametrize("test", Test)
def test_a_pair_seen_equally_often_on_both_sides_is_dropped(test: Test) -> None:
    tokens = np.array([0, 1, 2, 2])
    evidence = examine(test, pairs(PARTNER), np.ones(6, bool), tokens, np.ones(4))
    assert (evidence.units, evidence.scored, evidence.green) == (1, 2, 2)


def test_green_tokens_are_counted_not_weighed() -> None:
    tokens = np.array([0, 0, 0, 1, 2])
    coins = np.array([1, 0, 1, 0], bool)
    evidence = examine(Test.WEIGHTED, independent(4), coins, tokens, np.ones(5))
    assert (evidence.green, evidence.scored, evidence.units) == (4, 5, 3)
    assert evidence.statistic == round(4 * math.sqrt(3)) + 4


def test_margins_change_the_margin_test_alone() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 40, 60)
    coins = rng.random(40) < 0.5
    one, other = rng.exponential(size=(2, 60))
    for test in Test:
        first = examine(test, independent(40), coins, tokens, one)
        second = examine(test, independent(40), coins, tokens, other)
        assert (first == second) is (test is not Test.MARGIN)


def test_the_margin_test_listens_to_the_surer_readings() -> None:
    tokens, margin = np.arange(40), np.where(np.arange(40) < 20, 5.0, 0.1)
    sure = np.arange(40) < 20
    first = examine(Test.MARGIN, independent(40), sure, tokens, margin)
    second = examine(Test.MARGIN, independent(40), ~sure, tokens, margin)
    assert first.p < 1e-2
    assert second.p > 0.99


@pytest.mark.parametrize(
    ("tokens", "margin"),
    [
        ([0, 4], [1, 1]),
        ([0, -1], [1, 1]),
        ([0, 1], [1, np.nan]),
        ([0, 1], [1, -1]),
        ([0, 1], [1]),
    ],
)
def test_a_reading_with_one_thing_wrong_is_refused(tokens: list[int], margin: list[float]) -> None:
    with pytest.raises(BadReading):
        examine(Test.UNIQUE, independent(4), np.ones(4, bool), np.array(tokens), np.array(margin))


def skies(rng: np.random.Generator, codes: int) -> NDArray[np.int64]:
    """A token map like a photograph's: a few codes fill a flat sky, the rest is Zipf."""
    chance = np.arange(1, codes + 1) ** -1.1
    tokens = rng.choice(codes, 256, p=chance / chance.sum())
    tokens[: rng.integers(20, 160)] = rng.integers(0, codes, 3)[0]
    return rng.permutation(codes)[tokens]


@pytest.mark.parametrize("kind", ["independent", "pairs"])
@pytest.mark.parametrize("test", Test)
def test_size_holds_on_flat_pictures_where_the_published_statistic_fails(
    test: Test, kind: str
) -> None:
    rng = np.random.default_rng(11)
    codes, keys = 1024, 4000
    partner = (np.arange(codes) ^ 1).astype(np.int32)
    colouring = {"independent": independent(codes), "pairs": pairs(partner)}[kind]
    levels, expected = (1e-2, 1e-3), np.zeros(2)
    ours, published = [], []
    for _ in range(5):
        tokens, margin = skies(rng, codes), rng.exponential(size=256)
        stakes = stake(test, colouring, tokens, margin)
        coins = rng.random((keys, colouring.units)) < 0.5
        expected += [attained(stakes, level) / 5 for level in levels]
        ours.append(tail(stakes.weight, 0.5)[statistics(stakes, coins)])
        greens = (coins[:, colouring.unit] == (colouring.side == 1))[:, tokens].sum(1)
        published.append(binom.sf(greens - 1, 256, 0.5))
    p, raw = np.concatenate(ours), np.concatenate(published)
    for level, exact in zip(levels, expected, strict=True):
        low, high = binom.ppf([1e-4, 1 - 1e-4], len(p), exact)
        assert level / 2 < exact <= level
        assert low <= (p <= level).sum() <= high
        assert (raw <= level).sum() > 10 * len(raw) * level
