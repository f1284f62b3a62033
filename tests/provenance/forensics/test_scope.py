"""What is no photograph and none that looks like one is not judged."""

import numpy as np
import pytest

from provenance.forensics.scope import MIDDLE, OutOfScope, middle, scope
from provenance.image import Pixels
from provenance.robustness import files
from tests.provenance.forensics.scenes import scene


def screenshot() -> Pixels:
    picture = np.ones((3, 200, 300), np.float32)
    picture[:, :30] = 0.2
    picture[:, 60:62, 20:280] = 0
    return picture


def shaded_drawing() -> Pixels:
    picture = scene(0, 256, 256)
    picture[:, :, 100:] = files.rounded(np.full((3, 256, 156), 0.7))
    return picture


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (scene(0, 143, 400), OutOfScope.SMALL),
        (np.full((3, 200, 200), 0.4, np.float32), OutOfScope.ONE_COLOUR),
        (screenshot(), OutOfScope.DRAWING),
        (shaded_drawing(), OutOfScope.DRAWING),
        (scene(0, 144, 144), None),
        (files.jpeg(scene(0, 256, 256), 70), None),
    ],
)
def test_scope(pixels: Pixels, reason: OutOfScope | None) -> None:
    assert scope(pixels) is reason


def test_of_a_large_picture_the_middle_is_looked_at() -> None:
    pixels = np.zeros((3, 1100, MIDDLE + 64), np.float32)
    pixels[:, 32:-44, 32:-32] = 1
    part = middle(pixels)
    assert part.shape == (3, MIDDLE, MIDDLE)
    assert part.min() == 1
