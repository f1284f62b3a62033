"""Crops cover a picture evenly at its own resolution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.forensics.crops import SIDE, corners, cut


@given(st.integers(SIDE, 3000), st.integers(SIDE, 3000), st.integers(1, 16))
def test_crops_lie_inside_and_reach_the_edges(height: int, width: int, most: int) -> None:
    places = corners(height, width, most=most)
    assert 1 <= len(places) <= most
    assert len(set(places)) == len(places)
    rows, columns = {y for y, _ in places}, {x for _, x in places}
    assert min(rows) == min(columns) == 0
    for count, side, ends in ((len(rows), height, rows), (len(columns), width, columns)):
        assert max(ends) == (side - SIDE if count > 1 else 0)


def test_a_picture_smaller_than_a_crop_has_none() -> None:
    with pytest.raises(ValueError, match="no crop of 128 px fits 200 x 127"):
        corners(127, 200)


def test_crops_are_the_pictures_own_pixels() -> None:
    picture = np.arange(3 * 130 * 140, dtype=np.float32).reshape(3, 130, 140)
    for (y, x), crop in zip(corners(130, 140), cut(picture, corners(130, 140)), strict=True):
        assert np.array_equal(crop, picture[:, y : y + SIDE, x : x + SIDE])
