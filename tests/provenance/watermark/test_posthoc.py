"""An uploaded picture is marked near to the original, or refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.image import Pixels
from provenance.robustness.quality import psnr
from provenance.watermark.embeddability import CannotCarry
from provenance.watermark.posthoc import LIMIT, Codec, TooSmall, mark
from tests.provenance.watermark.palette import Palette, picture
from tests.provenance.watermark.test_embeddability import JUDGE, KEY, SCHEME

CODEC: Codec = Palette()
GREEN = SCHEME.green(KEY, 0)


def undecided(height: int, width: int) -> Pixels:
    """Patches whose colours lie almost in the middle between the palette's."""
    rng = np.random.default_rng(0)
    rows, columns = -(-height // 8), -(-width // 8)
    colours = rng.choice([0.3, 0.5, 0.7], (3, rows, columns)) + rng.normal(
        0, 0.004, (3, rows, columns)
    )
    pixels = colours.repeat(8, 1).repeat(8, 2)[:, :height, :width]
    return np.asarray(np.rint(pixels * 255) / 255, np.float32)


def test_a_marked_upload_is_near_the_original_and_reads_as_marked() -> None:
    pixels = undecided(125, 131)
    before = JUDGE.evidence(pixels[:, :120, :128])
    marked = mark(CODEC, JUDGE, pixels, favoured=GREEN, target=1e-6)
    assert marked.pixels.shape == pixels.shape
    assert marked.evidence.p <= 1e-6 < before.p
    assert marked.evidence == JUDGE.evidence(marked.pixels[:, :120, :128])
    assert marked.psnr == psnr(pixels, marked.pixels) >= LIMIT
    assert marked.ssim > 0.9
    assert np.array_equal(np.rint(marked.pixels * 255) / np.float32(255), marked.pixels)


@settings(max_examples=8, deadline=None)
@given(height=st.integers(11, 40), width=st.integers(11, 40), seed=st.integers(0, 9))
def test_no_picture_is_changed_beyond_the_limit(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).random((3, height, width), np.float32)
    marked = mark(CODEC, JUDGE, pixels, favoured=GREEN, target=1.0)
    assert psnr(pixels, marked.pixels) >= LIMIT


def test_every_tile_of_a_large_picture_is_marked() -> None:
    pixels = undecided(24, 1100)
    marked = mark(CODEC, JUDGE, pixels, favoured=GREEN, target=1e-6)
    changed = (marked.pixels != pixels).any(0).any(0)
    assert all(changed[start : start + 64].any() for start in range(0, 1090, 64))


@pytest.mark.parametrize("pixels", [picture(16, 16), np.full((3, 128, 128), 0.4, np.float32)])
def test_a_mark_that_cannot_be_read_back_is_not_promised(pixels: Pixels) -> None:
    with pytest.raises(CannotCarry) as refusal:
        mark(CODEC, JUDGE, pixels, favoured=GREEN, target=1e-9)
    assert len(refusal.value.attempts) == 3
    assert all(attempt.evidence.p > 1e-9 for attempt in refusal.value.attempts)


def test_bad_input_is_refused_by_name() -> None:
    with pytest.raises(TooSmall, match="10 x 64"):
        mark(CODEC, JUDGE, np.zeros((3, 64, 10), np.float32), favoured=GREEN, target=1e-6)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        mark(CODEC, JUDGE, np.full((3, 64, 64), 2, np.float32), favoured=GREEN, target=1e-6)
    with pytest.raises(ValueError, match="share"):
        mark(CODEC, JUDGE, undecided(16, 16), favoured=GREEN, target=1e-6, shares=[0.0])
