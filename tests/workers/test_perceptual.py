"""The distance grows with what is changed, and is not there without its packages."""

import sys

import numpy as np
import pytest

from provenance.image import read_image
from tests.workers.uploads import photograph
from workers.perceptual import installed


def test_the_distance_grows_with_the_noise() -> None:
    distance = installed()
    assert distance is not None
    picture = read_image(photograph(67, 90), name="it")
    noise = np.random.default_rng(0).normal(0, 1, picture.shape).astype(np.float32)
    near, far = (np.clip(picture + level * noise, 0, 1) for level in (0.01, 0.05))
    assert distance(picture, picture) == 0
    assert 0 < distance(picture, near) < distance(picture, far)
    with pytest.raises(ValueError, match="two sizes"):
        distance(picture, picture[:, :60])


def test_of_a_large_picture_the_busiest_square_is_compared() -> None:
    distance = installed()
    assert distance is not None
    picture = np.full((3, 16, 2400), 0.5, np.float32)
    picture[:, :, 1400::2] = 0.6
    elsewhere, there = picture.copy(), picture.copy()
    elsewhere[:, :, :300] += 0.01
    there[:, :, 1500:1800] += 0.01
    assert distance(picture, elsewhere) == 0 < distance(picture, there)


def test_without_its_packages_there_is_no_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    assert installed() is None
