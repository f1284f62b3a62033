"""The figures of the classifier: what they count, and that nothing is measured on what it saw."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.forensics.fit import fit_spectra
from bench.forensics.measure import (
    FOLDS,
    Scores,
    as_drawn,
    auc,
    calibrations,
    folds,
    p_values,
    risk_coverage,
    share,
    swap,
)
from bench.forensics.sources import FAMILIES, Sample, as_pixels, photographs, region, samples
from bench.forensics.views import RECIPES, Ready, Recipe, negative, pair, prepare
from provenance.forensics.history import read_history
from provenance.robustness import files
from tests.provenance.forensics.scenes import scene

RNG = np.random.default_rng(0)


@pytest.fixture
def made(tmp_path: Path) -> list[Sample]:
    """Six photographs of three scenes, and counterparts that are blurred by one pixel."""
    rows = []
    for seed in range(6):
        file = f"{seed}.jpg"
        files.to_image(scene(seed, 224, 240)).save(tmp_path / file, quality=85)
        rows.append({"file": file, "split": "calib", "group": f"s{seed // 2}", "permissive": "1"})
    with (tmp_path / "index.csv").open("w", newline="") as index:
        writer = csv.DictWriter(index, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    reals = photographs(tmp_path, tmp_path / "index.csv", "calib")
    assert photographs(tmp_path, tmp_path / "index.csv", "train") == []

    def redraw(pixels: np.ndarray) -> np.ndarray:
        return files.resized(files.resized(pixels, 112, 120), 224, 240)

    return list(samples(reals, dict.fromkeys(FAMILIES, redraw), tmp_path / "cache"))


def test_a_scene_is_in_one_fold(made: list[Sample]) -> None:
    fold = folds(made)
    assert list(fold[::2]) == list(fold[1::2])
    assert 0 <= fold.min() <= fold.max() < FOLDS


def test_counterparts_have_size_and_history_of_their_photograph(made: list[Sample]) -> None:
    for sample in made:
        assert sample.history == read_history(sample.photograph.path.read_bytes())
        assert {one.shape for one in sample.redrawn.values()} == {sample.region.shape}
        with Image.open(sample.photograph.path) as picture:
            assert np.array_equal(region(np.asarray(picture)), sample.region)


def test_what_is_drawn_once_is_kept(made: list[Sample], tmp_path: Path) -> None:
    reals = [sample.photograph for sample in made]
    again = list(samples(reals, dict.fromkeys(FAMILIES), tmp_path / "cache"))
    assert np.array_equal(again[0].redrawn["levels"], made[0].redrawn["levels"])
    with pytest.raises(FileNotFoundError):
        list(samples(reals, {"unheard of": None}, tmp_path / "cache"))


@pytest.mark.parametrize("recipe", RECIPES[1:], ids=[recipe.name for recipe in RECIPES[1:]])
def test_both_halves_of_a_pair_go_through_the_same(made: list[Sample], recipe: Recipe) -> None:
    (one, *_) = prepare(made[:1], RECIPES[0])
    same = Ready(one.group, one.region, {"toy": (one.region,)})
    for seed in range(8):
        real, drawn = pair(same, "toy", recipe, np.random.default_rng(seed))
        assert np.array_equal(real, drawn)
    assert negative(one, recipe, np.random.default_rng(0)).shape == (3, 128, 128)


def test_the_naive_recipe_leaves_the_codec_in(made: list[Sample]) -> None:
    (naive, *_), (aligned, *_) = prepare(made[:1], RECIPES[0]), prepare(made[:1], RECIPES[1])
    plain = as_pixels(made[0].redrawn["levels"])
    assert np.array_equal(naive.drawn["levels"][0], plain)
    assert np.array_equal(aligned.drawn["levels"][0], made[0].history.apply(plain))


def test_the_reading_of_spectra_learns_what_differs() -> None:
    drawn = np.arange(400) % 2 == 1
    numbers = RNG.normal(size=(400, 137)).astype(np.float32)
    numbers[drawn, 5] += 2
    head = fit_spectra(numbers, drawn)
    with torch.inference_mode():
        scores = head(torch.from_numpy(numbers)).numpy()
    assert auc(scores[~drawn].astype(float), scores[drawn].astype(float)).low > 0.8


def scores(**rows: np.ndarray) -> Scores:
    return Scores({("real", name): row for name, row in rows.items()})


def test_a_photograph_is_never_compared_with_its_own_fold() -> None:
    fold = np.repeat(np.arange(FOLDS), 20)
    row = RNG.normal(size=100)
    row[fold == 0] = 50.0
    by = calibrations(scores(native=row), fold)
    p = p_values(row, fold, by)
    assert p[fold == 0] == pytest.approx(1 / 81)
    assert np.nanmin(p[fold != 0]) > 20 / 81


def test_a_detector_of_codecs_fails_the_audit_and_one_that_sees_none_passes() -> None:
    fold, zeros = np.arange(40) % FOLDS, np.zeros(40)
    truth = {"real": zeros, **{family: zeros + 1 for family in FAMILIES}}
    rows = {}
    for kind, row in truth.items():
        rows[kind, "native"] = row
        rows[kind, "codec | first"], rows[kind, "codec | second"] = zeros, zeros + 1
        rows[kind, "size | first"] = rows[kind, "size | second"] = row
    found = Scores(rows)
    assert swap(found, found, "codec", fold).moves == pytest.approx(0.5)
    assert swap(found, found, "size", fold).moves == 0


def test_risk_and_coverage_count_both_kinds_of_error() -> None:
    real = np.array([0.5, 0.01, 0.5, 0.01]), np.array([0.01, 0.5, 0.5, 0.01])
    drawn = np.array([0.01, 0.5]), np.array([0.5, 0.01])
    (point,) = risk_coverage(real, drawn, [0.05])
    assert point.decided == 4  # right, wrong, open, open; right, wrong
    assert point.coverage == pytest.approx(4 / 6)
    assert point.error == pytest.approx(0.5)


def test_p_as_a_drawing_is_that_of_the_family_it_fits_best() -> None:
    fold = np.repeat(np.arange(FOLDS), 4)
    low, high = np.zeros(20), np.full(20, 10.0)
    p = as_drawn(np.full(20, 5.0), fold, [high, low])
    assert p == pytest.approx(1.0)
    assert as_drawn(np.full(20, 5.0), fold, [high]) == pytest.approx(1 / 17)


def test_intervals_hold_the_share() -> None:
    assert share(0, 82).low == 0
    assert share(0, 82).high == pytest.approx(0.044, abs=1e-3)
    assert share(82, 82).high == 1
