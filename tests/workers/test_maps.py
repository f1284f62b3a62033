"""Maps show where evidence lies: where a mark was painted over, and what differs."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workers.maps import BLUE, _density, map_of_difference


def pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB"))


def test_a_part_without_the_mark_is_paler_than_the_rest() -> None:
    rng = np.random.default_rng(1)
    green = rng.random((16, 16)) < 0.95
    green[:, :8] = rng.random((16, 8)) < 0.5
    drawn = _density(green)
    painted, marked = drawn[:, :, :5].mean(), drawn[:, :, 11:].mean()
    assert painted > marked + 0.2
    assert np.allclose(_density(np.ones((16, 16), bool))[:, 8, 8], BLUE)
    assert (_density(np.zeros((16, 16), bool)) == 1).all()


def test_what_was_changed_is_red_and_the_rest_white() -> None:
    one = np.full((3, 32, 32), 0.5, np.float32)
    two = one.copy()
    two[:, :16, :16] = 1.0
    drawn = pixels(map_of_difference(one, two))
    assert tuple(drawn[28, 28]) == (255, 255, 255)
    assert drawn[4, 4, 0] > 200 > 60 > drawn[4, 4, 1]


def test_a_resized_picture_is_compared_and_another_shape_is_not() -> None:
    one = np.random.default_rng(1).random((3, 64, 64)).astype(np.float32)
    assert (pixels(map_of_difference(one, one)) == 255).all()
    assert map_of_difference(one[:, ::2, ::2], one) != b""
    assert map_of_difference(one[:, :32], one) == b""
