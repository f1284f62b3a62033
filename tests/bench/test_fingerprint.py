"""The bench finds what it plants, and its interval covers what it should."""

from pathlib import Path

import numpy as np
import pytest

from bench.fingerprint import SURE, against, between, photograph, rate_interval, row
from provenance.image import encode_png
from tests.provenance.robustness.pictures import drawing


def test_row_times_a_search_that_finds_what_was_planted() -> None:
    assert row(3000, 20).startswith("| 3,000 |")


def test_rate_interval_without_a_match_is_that_of_the_disjoint_pairs() -> None:
    low, high = rate_interval(0.0, 50)
    assert low == 0
    assert (1 - high) ** 50 == pytest.approx((1 - SURE) / 2)


@pytest.mark.parametrize("pictures", [8, 41])
@pytest.mark.parametrize("chance", [0.02, 0.3, 0.9])
def test_rate_interval_covers_the_rate_of_dependent_pairs(pictures: int, chance: float) -> None:
    """Two pictures match if they are of one kind: a rate whose pairs depend on each other."""
    rng = np.random.default_rng(pictures)
    chances = np.array([chance, *[(1 - chance) / 6] * 6])
    truth, covered = float((chances**2).sum()), 0
    first, second = np.triu_indices(pictures, 1)
    for _ in range(300):
        kinds = rng.choice(7, pictures, p=chances)
        low, high = rate_interval(float((kinds[first] == kinds[second]).mean()), pictures // 2)
        covered += low <= truth <= high
    assert covered >= SURE * 300


def test_calibration_tells_different_pictures_from_copies(tmp_path: Path) -> None:
    for seed in range(4):
        (tmp_path / f"{seed}.png").write_bytes(encode_png(drawing(seed, 96, 96)))
    kept = [photograph(path) for path in sorted(tmp_path.iterdir())]
    assert between(kept)[0].startswith("0 of 6 pairs")
    assert "| 4 of 4 |" in against(kept, "jpeg-75")
    assert "| 0 of 4 |" in against(kept, "rotate-45")
    assert between([*kept, kept[0]])[0].startswith("1 of 10 pairs")
