"""Red gives way to its green partner, unless that shows or the draw was far surer."""

import numpy as np
import pytest
import torch
from torch import Tensor

from provenance.watermark.swap import IndexSwap, never_swap, swap_distances

PARTNER = np.array([1, 0, 3, 2, 5, 4], np.int32)
GREEN = np.array([1, 0, 0, 1, 1, 0], bool)
NEVER = np.array([0, 0, 0, 0, 1, 1], bool)
IDS = torch.arange(6)
LOGITS = torch.tensor([0.1, 0.2, 0.4, 0.1, 0.0, 0.2]).log().repeat(6, 1)


def test_every_red_token_but_the_protected_becomes_its_partner() -> None:
    swapped = IndexSwap(PARTNER, GREEN, NEVER, None).swap(IDS, LOGITS)
    assert swapped.tolist() == [0, 0, 3, 3, 4, 5]


def test_swapping_twice_changes_nothing_more() -> None:
    swap = IndexSwap(PARTNER, GREEN, NEVER, None)
    once = swap.swap(IDS, LOGITS)
    assert torch.equal(swap.swap(once, LOGITS), once)


@pytest.mark.parametrize(
    ("ratio", "expected"), [(2.1, [0, 0, 2, 3, 4, 5]), (4.1, [0, 0, 3, 3, 4, 5])]
)
def test_a_surer_draw_than_the_ratio_allows_stays(ratio: float, expected: list[int]) -> None:
    assert IndexSwap(PARTNER, GREEN, NEVER, ratio).swap(IDS, LOGITS).tolist() == expected


@pytest.mark.parametrize("ratio", [None, 2.1, 4.1])
def test_one_token_at_a_time_is_swapped_as_many_are(ratio: float | None) -> None:
    swap = IndexSwap(PARTNER, GREEN, NEVER, ratio)
    single = [swap.swap(IDS[i : i + 1], LOGITS[i : i + 1]) for i in range(6)]
    assert torch.equal(torch.cat(single), swap.swap(IDS, LOGITS))


def test_an_impossible_partner_is_taken_only_without_a_limit() -> None:
    impossible = torch.tensor([0.0, 1.0, 0, 0, 0, 0]).log().repeat(1, 1)
    drawn = torch.tensor([1])
    never = np.zeros(6, bool)
    assert IndexSwap(PARTNER, GREEN, never, 1e9).swap(drawn, impossible).tolist() == [1]
    assert IndexSwap(PARTNER, GREEN, never, None).swap(drawn, impossible).tolist() == [0]


def test_a_red_partner_is_no_improvement() -> None:
    none_green = np.zeros(6, bool)
    swap = IndexSwap(PARTNER, none_green, none_green, None)
    assert torch.equal(swap.swap(IDS, LOGITS), IDS)


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("nan")])
def test_a_ratio_that_makes_no_sense_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="ratio"):
        IndexSwap(PARTNER, GREEN, NEVER, ratio)


def test_masks_of_another_codebook_are_refused() -> None:
    with pytest.raises(ValueError, match="one entry a code"):
        IndexSwap(PARTNER, GREEN[:4], NEVER, None)


def decode(tokens: Tensor) -> Tensor:
    """Each token is a 2 x 2 block whose grey level is its code's."""
    levels = torch.tensor([0.0, 2 / 255, 0.5, 0.5, 0.2, 1.0])
    grey = levels[tokens].repeat_interleave(2, -1).repeat_interleave(2, -2)
    return grey[:, None].expand(-1, 3, -1, -1)


def test_the_distance_of_a_pair_is_what_its_swap_changes_in_one_tokens_pixels() -> None:
    distances = swap_distances(decode, PARTNER)
    assert distances == pytest.approx([2, 2, 0, 0, 204, 204], abs=1e-3)


def test_pairs_that_show_are_never_swapped_either_way() -> None:
    distances = np.array([1, 9, 1, 1, 2, 2], np.float32)
    assert never_swap(distances, PARTNER, 2.0).tolist() == [True, True, False, False, False, False]
