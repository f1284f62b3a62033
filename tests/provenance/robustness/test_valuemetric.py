import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from provenance.image import Pixels
from provenance.robustness import files
from provenance.robustness.attacks import attacked, find
from provenance.robustness.valuemetric import blur_kernel, blur_sigma, kernel_sigma
from tests.provenance.robustness.pictures import drawing


def after(name: str, picture: Pixels) -> Pixels:
    return attacked(picture, find(name), seed=7)


@pytest.mark.parametrize(("name", "kind"), [("jpeg-50", "JPEG"), ("webp-50", "WEBP")])
def test_compression_is_pillow_s_own_round_trip(name: str, kind: str) -> None:
    eight = np.rint(drawing() * 255).astype(np.uint8).transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(eight).save(file, kind, quality=50)
    back = np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(np.rint(after(name, drawing()) * 255).astype(np.uint8), back)


def test_brightness_multiplies_and_clips() -> None:
    eight = np.rint(drawing() * 255)
    expected = np.rint(np.minimum(eight * 1.5, 255) / 255 * 255)
    assert np.abs(np.rint(after("brightness-1.5", drawing()) * 255) - expected).max() <= 1
    assert after("brightness-2", np.full((3, 8, 8), 0.2, np.float32)).max() == np.float32(0.4)


@pytest.mark.parametrize(("name", "pillow"), [("contrast", "Contrast"), ("saturation", "Color")])
def test_colour_attacks_are_within_two_levels_of_pillow_s(name: str, pillow: str) -> None:
    image = getattr(ImageEnhance, pillow)(files.to_image(drawing())).enhance(1.5)
    difference = files.from_image(image) - after(f"{name}-1.5", drawing())
    assert np.abs(difference).max() <= 2.01 / 255


def test_noise_has_its_sigma() -> None:
    flat = np.full((3, 128, 128), 0.5, np.float32)
    noisy = after("noise-0.05", flat)
    assert noisy.std() == pytest.approx(0.05, rel=0.03)
    assert noisy.mean() == pytest.approx(0.5, abs=0.002)


def test_salt_and_pepper_hits_its_share_half_black_half_white() -> None:
    hit = after("salt-pepper-0.2", np.full((3, 128, 128), 0.5, np.float32))
    assert (hit == 0).mean() == pytest.approx(0.1, abs=0.01)
    assert (hit == 1).mean() == pytest.approx(0.1, abs=0.01)
    assert np.array_equal(hit[0], hit[1])


def test_blur_spreads_a_point_by_its_sigma() -> None:
    point = np.zeros((3, 65, 65), np.float32)
    point[:, 32, 32] = 1
    rng = np.random.default_rng(0)
    for spread, sigma in (
        (blur_sigma(point, 2, rng), 2.0),
        (blur_kernel(point, 15, rng), kernel_sigma(15)),
    ):
        profile = spread[0].sum(axis=0) / spread[0].sum()
        assert profile @ (np.arange(65) - 32.0) ** 2 == pytest.approx(sigma**2, rel=0.15)


def test_blur_kernel_looks_no_further_than_its_kernel() -> None:
    point = np.zeros((3, 33, 33), np.float32)
    point[:, 16, 16] = 1
    rows = np.flatnonzero(after("blur-kernel-7", point)[0].any(axis=1))
    assert rows.min() == 13
    assert rows.max() == 19


def test_a_blur_kernel_of_one_pixel_does_nothing() -> None:
    assert np.array_equal(after("blur-kernel-1", drawing()), drawing())


def test_kernel_sigma_is_opencv_s() -> None:
    assert kernel_sigma(7) == pytest.approx(1.4)
    assert kernel_sigma(3) == pytest.approx(0.8)


def test_median_takes_out_a_lone_pixel() -> None:
    picture = np.full((3, 16, 16), 0.4, np.float32)
    picture[:, 8, 8] = 1
    assert np.array_equal(after("median-3", picture), files.rounded(np.full_like(picture, 0.4)))


def test_hue_turns_red_to_green_in_a_third_of_the_circle() -> None:
    red = np.zeros((3, 8, 8), np.float32)
    red[0] = 1
    turned = after("hue-0.333", red)
    assert turned[1].min() == 1
    assert turned[0].max() < 0.05


def test_grey_leaves_equal_channels_of_the_same_luma() -> None:
    grey = after("grey", drawing())
    assert np.array_equal(grey[0], grey[2])
    luma = np.tensordot([0.299, 0.587, 0.114], drawing(), axes=1)
    assert np.abs(grey[0] - luma).max() <= 0.51 / 255


def test_gamma_is_a_power() -> None:
    assert np.abs(after("gamma-2", drawing()) - drawing() ** 2).max() <= 0.51 / 255


def test_brightness_jitter_stays_within_its_reach() -> None:
    flat = np.full((3, 8, 8), 0.5, np.float32)
    factors = [attacked(flat, find("brightness-jitter-0.5"), seed=s).mean() * 2 for s in range(60)]
    assert 0.49 < min(factors) < 0.7
    assert 1.3 < max(factors) < 1.51
