"""The numbers of a crop: which they are, and what moves them."""

import numpy as np
import pytest

from provenance.forensics.spectra import COUNT, features, names
from provenance.forensics.treatments import blur, zoom
from provenance.image import Pixels
from tests.provenance.forensics.scenes import scene


def number(crop: Pixels, name: str) -> float:
    return float(features(crop[None])[0, names().index(name)])


def test_every_number_has_a_name() -> None:
    found = features(np.stack([scene(0, 128, 128), scene(1, 128, 128)]))
    assert found.shape == (2, COUNT)
    assert len(set(names())) == COUNT


@pytest.mark.parametrize("crop", [np.zeros((3, 128, 128)), np.ones((3, 128, 128))])
def test_one_colour_has_finite_numbers(crop: np.ndarray) -> None:
    assert np.isfinite(features(crop[None].astype(np.float32))).all()


def test_brightness_moves_nothing() -> None:
    crop = scene(0, 128, 128) * np.float32(0.5)
    assert np.allclose(features(crop[None]), features(crop[None] + np.float32(0.25)), atol=0.02)


def test_a_blur_takes_the_highest_ring_away() -> None:
    crop = scene(0, 128, 128)
    assert (
        number(blur(1.0)(crop), "luma power, ring 31") < number(crop, "luma power, ring 31") - 0.5
    )


def test_repeated_pixels_are_seen_as_copies_and_as_a_peak() -> None:
    crop = scene(0, 128, 128)
    doubled = crop[:, ::2, ::2].repeat(2, 1).repeat(2, 2)
    assert number(doubled, "luma copies across") > number(crop, "luma copies across") + 1
    assert number(zoom(2)(crop), "luma lag 1 across") > number(crop, "luma lag 1 across")


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="crops are"):
        features(np.zeros((1, 3, 64, 64), np.float32))
