import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.robustness import files
from tests.provenance.robustness.pictures import drawing


@settings(deadline=None)
@given(st.integers(0, 255))
def test_every_8_bit_level_comes_back_from_an_image(level: int) -> None:
    flat = files.rounded(np.full((3, 8, 8), level / 255))
    assert np.array_equal(files.from_image(files.to_image(flat)), flat)
    assert round(float(flat[0, 0, 0]) * 255) == level


def test_rounding_clips_and_settles() -> None:
    wild = np.array([-1, 0.5001, 2], np.float32).reshape(3, 1, 1)
    once = files.rounded(wild)
    assert once.ravel().tolist() == [0.0, np.float32(128 / 255), 1.0]
    assert np.array_equal(files.rounded(once), once)


def test_resizing_gives_height_then_width() -> None:
    assert files.resized(drawing(), 20, 30).shape == (3, 20, 30)
