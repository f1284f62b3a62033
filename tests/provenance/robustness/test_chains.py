import numpy as np

from provenance.robustness import files
from provenance.robustness.attacks import attacked, find
from provenance.robustness.quality import psnr
from tests.provenance.robustness.pictures import drawing


def test_screenshot_moves_the_grid_a_little_and_keeps_the_picture() -> None:
    ramp = np.tile(np.linspace(0.2, 0.8, 128, dtype=np.float32), (3, 128, 1))
    shot = attacked(ramp, find("screenshot"), seed=4)
    lost = 1 - (shot[1].max() - shot[1].min()) / 0.6
    assert 0.005 < lost < 0.06
    picture = drawing(height=128, width=128)
    assert 15 < psnr(picture, attacked(picture, find("screenshot"), seed=4)) < 35


def test_screenshot_is_warmer_and_darker() -> None:
    flat = np.full((3, 64, 64), 0.5, np.float32)
    red, green, blue = attacked(flat, find("screenshot"), seed=4).mean(axis=(1, 2))
    assert 0.5 > red > green > blue > 0.45


def test_social_is_not_jpeg_alone() -> None:
    picture = drawing(height=96, width=128)
    shared = attacked(picture, find("social"), seed=0)
    assert psnr(picture, shared) < psnr(picture, files.jpeg(picture, 71))
    assert psnr(picture, shared) > 18
