"""Bands and spectra are exchanged where they are said to be, and broken sources are stopped."""

import numpy as np
import pytest
from scipy import fft

from provenance.forensics.alignment import (
    Alignment,
    BrokenCounterpart,
    align,
    check_counterparts,
    match_spectrum,
    radii,
    swap_band,
)
from provenance.forensics.history import jpeg
from provenance.forensics.treatments import blur
from tests.provenance.forensics.scenes import scene

REAL = scene(1)
DRAWN = blur(1.2)(REAL)


def test_only_the_band_from_the_radius_on_is_the_photographs() -> None:
    mixed = swap_band(DRAWN, REAL, 0.5, 1.0)
    band = radii(*REAL.shape[1:]) >= 0.5
    ours, theirs, first = (fft.dctn(x, axes=(1, 2), norm="ortho") for x in (mixed, REAL, DRAWN))
    step = 4 / 255  # rounding to 8 bits, in one coefficient of 110,592
    assert np.abs(ours - theirs)[:, band].max() < step
    assert np.abs(ours - first)[:, ~band].max() < step
    assert np.abs(first - theirs)[:, band].max() > 10 * step


def test_the_whole_band_is_the_photograph() -> None:
    assert np.array_equal(swap_band(DRAWN, REAL, 0.0, 1.0), REAL)


def test_amplitudes_become_the_photographs_and_phases_stay() -> None:
    matched = match_spectrum(DRAWN, REAL)

    def fine(x: np.ndarray) -> float:
        return float(np.abs(np.diff(np.diff(x, axis=1), axis=2)).mean())

    assert fine(DRAWN) < 0.1 * fine(REAL) < 0.2 * fine(matched)
    assert np.abs(matched.mean(axis=(1, 2)) - DRAWN.mean(axis=(1, 2))).max() < 1e-3


def test_every_counterpart_has_the_history_at_probability_one() -> None:
    history = jpeg(60)
    rng = np.random.default_rng(0)
    for _ in range(5):
        aligned = align(DRAWN, REAL, history, Alignment(), rng)
        assert np.array_equal(aligned, history.apply(DRAWN))


def test_another_size_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="its photograph's size"):
        align(DRAWN[:, :64], REAL, jpeg(90), Alignment(), rng)


@pytest.mark.parametrize("broken", [scene(9), REAL], ids=["another picture", "the photograph"])
def test_a_source_that_reconstructs_nothing_is_named(broken: np.ndarray) -> None:
    with pytest.raises(BrokenCounterpart, match="cunet: mean error"):
        check_counterparts([broken], [REAL], source="cunet")
    assert 0 < check_counterparts([DRAWN], [REAL], source="blur") < 0.12
