"""A counterpart is compressed exactly as its photograph was."""

import io

import numpy as np
import pytest

from provenance.forensics.history import LOSSLESS, History, jpeg, read_history, webp_quantiser
from provenance.forensics.treatments import blur
from provenance.robustness import files
from tests.provenance.forensics.scenes import scene


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [37, 90])
def test_a_jpeg_is_read_and_given_to_another_picture(quality: int, subsampling: int) -> None:
    file = io.BytesIO()
    files.to_image(scene()).save(file, "JPEG", quality=quality, subsampling=subsampling)
    history = read_history(file.getvalue())
    assert history == jpeg(quality, subsampling)
    assert read_history(history.encode(scene(1))) == history


@pytest.mark.parametrize("quality", [10, 55, 80, 95])
def test_a_webp_is_given_its_quality(quality: int) -> None:
    calm = blur(0.8)(scene())
    found = read_history(History("WebP", quality=quality).encode(calm))
    assert found.codec == "WebP"
    assert abs(found.quality - quality) <= 4


def test_the_quantiser_falls_as_the_quality_rises() -> None:
    found = [webp_quantiser(History("WebP", quality=q).encode(scene())) for q in range(0, 101, 20)]
    assert None not in found
    assert found == sorted(found, key=lambda index: -(index or 0))
    assert (found[0], found[-1]) == (127, 0)


def test_lossless_files_have_no_history() -> None:
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        file = io.BytesIO()
        files.to_image(scene()).save(file, kind, **options)
        assert read_history(file.getvalue()) == LOSSLESS
    assert np.array_equal(LOSSLESS.apply(scene()), scene())


def test_pixels_are_rounded_and_not_cut_off() -> None:
    between = np.full((3, 16, 16), 100.7 / 255, np.float32)
    assert np.allclose(LOSSLESS.apply(between) * 255, 101)
