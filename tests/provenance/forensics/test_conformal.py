"""p-values are exact, hold in the worst stratum, and belong to one member."""

from pathlib import Path

import numpy as np
import pytest

from provenance.forensics.conformal import (
    BadCalibration,
    Calibration,
    calibrate,
    read_calibration,
)

EASY = np.arange(20.0)
HARD = EASY + 5
BOTH = Calibration("toy/1", "made up", {"native": EASY, "zoomed": HARD})


@pytest.mark.parametrize(
    ("score", "stratum", "above"), [(100.0, "native", 0), (24.0, "zoomed", 1), (5.0, "zoomed", 20)]
)
def test_p_is_that_of_the_stratum_with_most_as_high(score: float, stratum: str, above: int) -> None:
    value = BOTH.value(score)
    assert value.p == (1 + above) / 21
    assert value.photographs == 20
    if above:
        assert value.stratum == stratum


def test_a_tie_counts_against_the_picture() -> None:
    assert BOTH.value(24.0).p > BOTH.value(24.0 + 1e-9).p


def test_photographs_of_any_stratum_are_called_drawn_no_more_often_than_alpha() -> None:
    rng = np.random.default_rng(0)
    called = np.zeros(2)
    for _ in range(400):
        scores = rng.normal(size=(2, 60)) + np.array([[0.0], [1.0]])
        strata = [[("a", a), ("b", b)] for a, b in scores.T[:59]]
        found = calibrate(strata, member="toy/1", basis="normal")
        called += [found.value(float(score)).p <= 0.05 for score in scores[:, 59]]
    assert called[1] / 400 <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
    assert called[1] > called[0]


def test_a_calibration_is_kept_and_read_back(tmp_path: Path) -> None:
    BOTH.write(tmp_path / "c.json")
    again = read_calibration(tmp_path / "c.json", member="toy/1")
    assert again.value(12.0) == BOTH.value(12.0)
    with pytest.raises(BadCalibration, match="made for toy/1, not for toy/2"):
        read_calibration(tmp_path / "c.json", member="toy/2")


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"member": "toy/1", "basis": "b", "scores": {}}', '{"member": "toy/1"}'],
)
def test_what_is_no_calibration_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(BadCalibration, match="c.json"):
        read_calibration(tmp_path / "c.json", member="toy/1")


@pytest.mark.parametrize("scores", [EASY[:18], EASY[::-1], np.full(20, np.nan)])
def test_too_few_or_unordered_scores_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(BadCalibration, match="at least 19 scores in ascending order"):
        Calibration("toy/1", "made up", {"native": scores})


def test_a_score_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        BOTH.value(float("nan"))
