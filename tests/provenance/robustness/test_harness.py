import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from provenance.image import Pixels
from provenance.robustness.attacks import find, through
from provenance.robustness.harness import Threshold, at_p, at_rate, measure, measure_attack, rate
from tests.provenance.robustness.pictures import drawing

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PICTURES = [np.full((3, 16, 16), k / 10, np.float32) for k in range(1, 11)]  # 0.1 to 1.0


def red(pixels: Pixels) -> float:
    """The toy score: ten times the mean of red, so 1 to 10 on PICTURES."""
    return 10 * float(pixels[0].mean())


def test_a_toy_score_gives_the_known_rates() -> None:
    table = measure(
        PICTURES,
        [find("none"), find("brightness-0.5"), find("brightness-2")],
        red,
        method="red",
        thresholds=[Threshold("three", 2.9), Threshold("six", 5.9)],
        seed=0,
    )
    found = {row.attack: [r.found for r in row.rates] for row in table.rows}
    assert found == {"none": [8, 5], "brightness-0.5": [5, 0], "brightness-2": [9, 8]}
    assert table.mean(0) == pytest.approx((0.8 + 0.5 + 0.9) / 3)
    assert table.rows[0].median == pytest.approx(5.5, abs=0.02)


def test_quality_is_that_of_the_attack() -> None:
    def darker(pixels: Pixels) -> Pixels:
        return pixels - np.float32(51 / 255)

    attacks = [find("none"), through("darker", darker), find("scale-0.5")]
    table = measure(PICTURES[1:], attacks, red, method="m", thresholds=[at_p(0.1)], seed=0)
    assert [row.psnr for row in table.rows] == [None, pytest.approx(13.979, abs=1e-3), None]
    assert table.rows[0].ssim == pytest.approx(1)
    assert table.rows[2].ssim is None


def test_each_picture_may_have_its_own_score() -> None:
    scores = [lambda pixels, k=k: red(pixels) - k for k in range(10)]
    table = measure(
        PICTURES, [find("none")], scores, method="m", thresholds=[Threshold("t", 0.98)], seed=0
    )
    assert table.rows[0].rates[0].found == 10


def test_the_seed_alone_decides_and_differs_between_pictures_and_attacks() -> None:
    def table(seed: int) -> list[float]:
        seen: list[float] = []

        def score(pixels: Pixels) -> float:
            seen.append(float(pixels.sum()))
            return 0.0

        attacks = [find("noise-0.1"), find("noise-0.1+none")]
        measure([drawing()] * 2, attacks, score, method="m", thresholds=[at_p(0.1)], seed=seed)
        return seen

    assert table(1) == table(1)
    assert len({*table(1), *table(2)}) == 8


def test_seconds_are_means_of_the_clock() -> None:
    ticks = iter([0.0, 1.0, 4.0, 10.0, 13.0, 14.0])
    row = measure_attack(
        PICTURES[:2],
        find("none"),
        [red, red],
        thresholds=[at_p(0.1)],
        seed=0,
        clock=lambda: next(ticks),
    )
    assert (row.attack_seconds, row.score_seconds) == (2.0, 2.0)


def test_at_p_includes_p_itself() -> None:
    table = measure(
        PICTURES, [find("none")], lambda _: 6.0, method="m", thresholds=[at_p(1e-6)], seed=0
    )
    assert table.rows[0].rates[0].share == 1
    assert at_p(1e-3).value == pytest.approx(3)


def test_at_rate_lets_through_exactly_the_share_allowed() -> None:
    nulls = [float(n) for n in range(1000)]
    threshold = at_rate(nulls, 1e-3)
    assert sum(n >= threshold.value for n in nulls) == 1
    assert threshold.name == "1 of 1000 unmarked"


@PATIENT
@given(st.lists(st.floats(-5, 5), min_size=20, max_size=60), st.sampled_from([0.05, 0.1, 0.3]))
def test_at_rate_never_lets_more_through(nulls: list[float], share: float) -> None:
    assert np.mean(np.array(nulls) >= at_rate(nulls, share).value) <= share + 1e-12


@pytest.mark.parametrize(("count", "share"), [(999, 1e-3), (0, 0.5), (10, 0.0), (10, 1.0)])
def test_a_rate_that_the_unmarked_pictures_cannot_show_is_refused(count: int, share: float) -> None:
    with pytest.raises(ValueError, match="cannot be set"):
        at_rate([0.0] * count, share)


@pytest.mark.parametrize("p", [0, 1, -1, 2])
def test_a_p_outside_0_to_1_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="p must be"):
        at_p(p)


@PATIENT
@given(st.integers(1, 300), st.data())
def test_intervals_are_clopper_and_pearson_s(of: int, data: st.DataObject) -> None:
    found = data.draw(st.integers(0, of))
    got = rate(found, of)
    assert 0 <= got.low <= got.share <= got.high <= 1
    if found:
        assert stats.binom.sf(found - 1, of, got.low) == pytest.approx(0.025, abs=1e-6)
    if found < of:
        assert stats.binom.cdf(found, of, got.high) == pytest.approx(0.025, abs=1e-6)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_names_the_attack_and_the_picture(score: float) -> None:
    with pytest.raises(ValueError, match="score of flip on picture 0"):
        measure(
            PICTURES, [find("flip")], lambda _: score, method="m", thresholds=[at_p(0.1)], seed=0
        )


@pytest.mark.parametrize(("pictures", "thresholds"), [([], [at_p(0.1)]), (PICTURES, [])])
def test_nothing_to_measure_is_refused(pictures: list[Pixels], thresholds: list[Threshold]) -> None:
    with pytest.raises(ValueError, match="nothing to measure"):
        measure(pictures, [find("none")], red, method="m", thresholds=thresholds, seed=0)
