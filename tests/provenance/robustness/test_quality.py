import numpy as np
import pytest

from provenance.robustness.quality import psnr, ssim
from tests.provenance.robustness.pictures import drawing


def test_psnr_of_a_known_error() -> None:
    flat = np.full((3, 8, 8), 0.5, np.float32)
    assert psnr(flat, flat + np.float32(0.1)) == pytest.approx(20, abs=1e-4)
    assert psnr(flat, flat) == np.inf


def test_ssim_is_one_for_the_same_and_falls_with_noise() -> None:
    picture = drawing()
    rng = np.random.default_rng(0)
    noises = [picture + rng.normal(0, s, picture.shape).astype(np.float32) for s in (0.02, 0.1)]
    assert ssim(picture, picture) == pytest.approx(1)
    assert 1 > ssim(picture, noises[0]) > ssim(picture, noises[1])


def test_ssim_is_wang_s_formula_at_one_window() -> None:
    one, other = drawing(1, 11, 11), drawing(2, 11, 11)
    at = np.arange(11) - 5
    window = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    window /= window.sum()
    x, y = (np.tensordot([0.299, 0.587, 0.114], p.astype(float), axes=1) for p in (one, other))
    mx, my = (window * x).sum(), (window * y).sum()
    vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
    both = (window * (x - mx) * (y - my)).sum()
    expected = (2 * mx * my + 1e-4) * (2 * both + 9e-4)
    expected /= (mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)
    assert ssim(one, other) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_pictures_of_two_sizes_are_refused(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(ValueError, match="two sizes"):
        measure(drawing(0, 32, 32), drawing(0, 32, 33))


def test_ssim_refuses_a_picture_smaller_than_its_window() -> None:
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(drawing(0, 10, 32), drawing(0, 10, 32))
