import numpy as np
import pytest

from provenance.image import Pixels
from provenance.robustness import files
from provenance.robustness.attacks import attacked, find
from provenance.robustness.quality import psnr
from tests.provenance.robustness.pictures import drawing


def after(name: str, picture: Pixels, seed: int = 7) -> Pixels:
    return attacked(picture, find(name), seed=seed)


def middle(picture: Pixels) -> Pixels:
    height, width = picture.shape[1:]
    return picture[:, height // 4 : -height // 4, width // 4 : -width // 4]


def test_turning_there_and_back_is_close_to_nothing_in_the_middle() -> None:
    smooth = after("blur-sigma-1", drawing())
    there = after("rotate-3", smooth)
    back = after("rotate--3", there)
    assert psnr(middle(smooth), middle(back)) > 40
    assert psnr(middle(smooth), middle(back)) > psnr(middle(smooth), middle(there)) + 8


def test_a_quarter_turn_is_exact_and_counter_clockwise() -> None:
    assert np.array_equal(after("rotate-90", drawing()), np.rot90(drawing(), axes=(1, 2)))


def test_turning_leaves_black_corners() -> None:
    turned = after("rotate-30", drawing())
    assert turned[:, 0, 0].max() == 0
    assert turned[:, 32, 32].min() > 0


def test_shift_moves_right_and_down_and_repeats_the_edge() -> None:
    moved = after("shift-3", drawing())
    assert np.array_equal(moved[:, 3:, 3:], drawing()[:, :-3, :-3])
    assert np.array_equal(moved[:, 0], moved[:, 3])
    assert np.array_equal(after("shift--3", drawing())[:, :-3, :-3], drawing()[:, 3:, 3:])


@pytest.mark.parametrize(("name", "axis"), [("flip", 2), ("flip-vertical", 1)])
def test_flips_turn_one_axis_and_undo_themselves(name: str, axis: int) -> None:
    assert np.array_equal(after(name, drawing()), np.flip(drawing(), axis))
    assert np.array_equal(after(name, after(name, drawing())), drawing())


def test_resize_goes_down_and_back() -> None:
    small = files.resized(drawing(), 32, 32)
    assert np.array_equal(after("scale-0.5", drawing()), small)
    assert np.array_equal(after("resize-0.5", drawing()), files.resized(small, 64, 64))


def test_crop_of_everything_is_nothing() -> None:
    for name in ("crop-1", "crop-corner-1", "cut-1"):
        assert np.array_equal(after(name, drawing()), drawing())


def test_crop_keeps_its_share_of_the_area() -> None:
    ramp = np.tile(np.linspace(0, 1, 128, dtype=np.float32), (3, 128, 1))
    inner = after("crop-0.25", ramp)
    assert inner.max() - inner.min() == pytest.approx(0.5, abs=0.02)
    corner = after("crop-corner-0.5", ramp)
    assert corner.max() == pytest.approx(0.5, abs=0.01)


def test_crop_with_an_aspect_keeps_the_area_and_changes_the_shape() -> None:
    across = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (3, 256, 1))
    down = across.transpose(0, 2, 1).copy()
    shares = []
    for seed in range(12):
        wide, high = (np.ptp(after("crop-aspect-0.5", p, seed)) for p in (across, down))
        assert wide * high == pytest.approx(0.5, abs=0.02)
        shares.append(wide / high)
    assert min(shares) < 0.9
    assert max(shares) > 1.1


def test_cut_keeps_the_middle_and_is_smaller() -> None:
    assert np.array_equal(after("cut-0.5", drawing()), drawing()[:, 16:48, 16:48])


@pytest.mark.parametrize("area", [0.1, 0.25])
def test_erase_blackens_its_share_and_nothing_else(area: float) -> None:
    erased = after(f"erase-{area}", drawing())
    black = (erased == 0).all(axis=0)
    assert black.mean() == pytest.approx(area, abs=0.02)
    assert np.array_equal(erased[:, ~black], drawing()[:, ~black])


def test_erase_with_noise_changes_its_share_only() -> None:
    changed = (after("erase-noise-0.25", drawing()) != drawing()).any(axis=0)
    assert changed.mean() == pytest.approx(0.25, abs=0.02)
    assert np.ptp(after("erase-noise-0.25", drawing())[:, changed]) > 0.9


def test_perspective_pulls_the_corners_in() -> None:
    white = np.ones((3, 64, 64), np.float32)
    assert after("perspective-0", white).min() == 1
    pulled = after("perspective-0.6", white)
    assert pulled[:, 32, 32].min() == 1
    assert 0.02 < (pulled == 0).mean() < 0.6
