import numpy as np
import pytest

from provenance.image import Pixels
from provenance.robustness import extra, files
from provenance.robustness.attacks import attacked, find
from provenance.robustness.quality import psnr
from tests.provenance.robustness.pictures import drawing


def test_real_esrgan_keeps_the_picture_and_draws_its_own_detail() -> None:
    picture = drawing(height=64, width=96)
    drawn = attacked(picture, find("realesrgan-2"), seed=0)
    assert 20 < psnr(picture, drawn) < 45
    assert psnr(picture, drawn) < psnr(picture, files.jpeg(picture, 95))


@pytest.mark.parametrize("name", ["nonlocal-means-0.15", "bilateral-0.2"])
def test_denoising_brings_a_noisy_picture_nearer_to_the_clean_one(name: str) -> None:
    steps = np.zeros((3, 64, 64), np.float32) + np.float32(0.3)
    steps[:, :, 32:] = 0.7
    noisy = attacked(steps, find("noise-0.05"), seed=1)
    clean = attacked(noisy, find(name), seed=1)
    assert psnr(steps, clean) > psnr(steps, noisy) + 5


def test_denoising_leaves_a_flat_picture_alone() -> None:
    flat: Pixels = np.full((3, 32, 32), 0.2, np.float32)
    assert np.array_equal(attacked(flat, find("nonlocal-means-0.1"), seed=0), flat)


def test_a_missing_package_is_one_error_that_says_how_to_get_it() -> None:
    for needed in (extra.module, extra.folder):
        with pytest.raises(extra.ExtraMissing, match=r"no_such_package.*countermark\[bench\]"):
            needed("no_such_package")
