"""The bench asks exactly what verify asks, of pictures that it reads one at a time."""

import math
from pathlib import Path

import numpy as np
import pytest

from provenance.errors import Unreadable
from provenance.image import encode_png, read_image
from provenance.robustness.attacks import Attack, attacked, find
from provenance.robustness.extra import ExtraMissing
from provenance.watermark.search import QUICK
from tests.workers.toys import key
from tests.workers.uploads import photograph, toy
from workers.bench import Pictures, check_runs, robustness
from workers.mark import Sought, mark
from workers.verify import verify


def test_a_score_is_the_p_that_verify_states(tmp_path: Path) -> None:
    _, marker = toy(tmp_path)
    one = key()
    png = mark(
        photograph(),
        name="it",
        marker=marker,
        sought=Sought(marker, [one]),
        key=one,
        number=1,
        distance=None,
    ).file
    pictures = [read_image(png, name="it"), read_image(photograph(seed=1), name="it")]
    attacks = [find("none"), find("noise-0.3")]
    steps: list[int] = []
    table = robustness(
        pictures,
        attacks,
        marks=marker,
        keys=[one],
        plan=QUICK,
        method="ours",
        seed=5,
        advance=lambda: steps.append(1),
    )
    clean, noisy = table.rows
    assert [rate.found for rate in clean.rates] == [1, 1]
    assert [rate.found for rate in noisy.rates] == [0, 0]
    assert len(steps) == 4
    assert [threshold.name for threshold in table.thresholds] == ["p <= 0.001", "p <= 1e-06"]
    copies = [encode_png(attacked(picture, attacks[0], seed=0)) for picture in pictures]
    stated = [
        verify(copy, name="it", marks=marker, keys=[one], plan=QUICK).mark.corrected
        for copy in copies
    ]
    assert clean.median == pytest.approx(np.mean([-math.log10(p) for p in stated]))


def test_pictures_are_read_when_they_are_looked_at(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    pictures = Pictures(files)
    assert len(pictures) == 3
    files[1].write_bytes(photograph(seed=1))
    assert np.array_equal(pictures[1], read_image(photograph(seed=1), name="it"))
    assert np.array_equal(pictures[1:][0], pictures[1])
    with pytest.raises(Unreadable, match=r"c\.png"):
        pictures[2]


def test_an_attack_that_cannot_run_is_named_before_the_work() -> None:
    def missing(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        raise ExtraMissing("ncnn is not installed")

    check_runs([find("jpeg-50"), find("scale-0.32")])
    with pytest.raises(ExtraMissing, match="ncnn"):
        check_runs([find("jpeg-50"), Attack("realesrgan-2", missing)])
