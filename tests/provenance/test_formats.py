"""Files are what they say, the same each time, and lose what their quality says."""

import numpy as np
import pytest

from provenance.formats import BEST, Encoding, Format
from provenance.image import Pixels, read_image
from provenance.manifest.container import sniff

LOSSY = (Format.JPEG, Format.WEBP)


def pixels(height: int = 40, width: int = 56) -> Pixels:
    """Soft colours."""
    rng = np.random.default_rng(0)
    small = rng.random((3, height // 8, width // 8), np.float32)
    return small.repeat(8, 1).repeat(8, 2)


def error(encoding: Encoding) -> float:
    """The mean difference in levels of 255 between the pixels and what the file shows."""
    shown = read_image(encoding.encode(pixels()), name="it")
    return float(np.abs(shown - pixels()).mean() * 255)


@pytest.mark.parametrize("kind", list(Format))
def test_a_file_is_of_its_format_and_size_and_always_the_same(kind: Format) -> None:
    encoding = Encoding(kind)
    file = encoding.encode(pixels())
    assert sniff(file) == encoding.media
    assert read_image(file, name="it").shape == (3, 40, 56)
    assert file == encoding.encode(pixels())


def test_a_png_loses_nothing_but_rounding() -> None:
    assert error(Encoding()) < 0.5


@pytest.mark.parametrize("kind", LOSSY)
def test_a_lower_quality_is_smaller_and_loses_more(kind: Format) -> None:
    files = [len(Encoding(kind, quality).encode(pixels())) for quality in (0, 50, BEST)]
    assert files == sorted(set(files))
    errors = [error(Encoding(kind, quality)) for quality in (BEST, 50, 0)]
    assert errors == sorted(set(errors))
    assert errors[0] < errors[-1] / 2


def test_a_jpeg_keeps_its_colours_at_full_size() -> None:
    red = np.zeros((3, 16, 16), np.float32)
    red[0, :, ::2] = 1
    shown = read_image(Encoding(Format.JPEG).encode(red), name="it")
    assert np.abs(shown - red).max() < 0.05
