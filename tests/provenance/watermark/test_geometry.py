"""Frames undo what attacks do, and cost nothing where nothing is to be done."""

import numpy as np
import pytest
import torch

from provenance.robustness.attacks import attacked, find
from provenance.watermark.geometry import Frame, Geometry, busiest, framed, whole
from tests.provenance.watermark.palette import picture


def test_the_frame_of_the_picture_itself_copies_it_exactly() -> None:
    pixels = torch.from_numpy(picture(4, 6))
    assert torch.equal(framed(pixels, Frame(32, 48)), pixels)
    assert torch.equal(framed(pixels, Frame(32, 48, mirrored=True)), pixels.flip(2))


@pytest.mark.parametrize(("height", "width"), [(128, 128), (96, 160)])
@pytest.mark.parametrize("degrees", [-4, 3])
def test_a_turn_is_undone_by_the_opposite_turn(height: int, width: int, degrees: int) -> None:
    plain = picture(height // 8, width // 8)
    turned = torch.from_numpy(attacked(plain, find(f"rotate-{degrees}"), seed=0))
    middle = slice(height // 2 - 24, height // 2 + 24), slice(width // 2 - 24, width // 2 + 24)
    error = {
        back: float(
            np.abs(framed(turned, Frame(height, width, back)).numpy() - plain)[:, *middle].mean()
        )
        for back in (-degrees, 0, degrees)
    }
    assert error[-degrees] < 0.03 < error[0] < error[degrees]


def test_whole_tokens_start_at_the_phase_and_end_within_the_picture() -> None:
    pixels = torch.arange(3 * 20 * 30.0).view(3, 20, 30)
    part = whole(pixels, 3, 7)
    assert part.shape == (3, 16, 16)
    assert torch.equal(part[:, 0, 0], pixels[:, 3, 7])
    assert whole(pixels[:, :7], 0, 0).numel() == 0


def test_busiest_finds_the_detail_and_stays_on_the_grid() -> None:
    pixels = torch.full((3, 96, 128), 0.5)
    pixels[:, 50:70, 90:110] = torch.from_numpy(picture(3, 3))[:, :20, :20]
    part = busiest(pixels, 32)
    assert part.shape == (3, 32, 32)
    assert torch.equal(part, pixels[:, 40:72, 80:112]) or torch.equal(
        part, pixels[:, 48:80, 80:112]
    )
    assert busiest(pixels, 128) is pixels


def test_a_geometry_says_all_that_was_done() -> None:
    assert str(Geometry(Frame(111, 112, -2.5, mirrored=True), 3, 5)) == (
        "112x111 mirrored turned -2.5 from 5,3"
    )
    assert str(Geometry(Frame(128, 128))) == "128x128"
