"""The bias raises green codes by delta, forbids red ones when infinite, and is nothing at 0."""

import numpy as np
import pytest
import torch

from provenance.watermark.lexical import LexicalBias

GREEN = np.array([True, False, True, False])
LOGITS = torch.tensor([[1.0, 2.0, -0.0, 4.0], [0.5, 0.25, -3.0, -torch.inf]])


def test_soft_bias_adds_delta_to_green_codes_alone() -> None:
    expected = LOGITS + torch.tensor([2.0, 0.0, 2.0, 0.0])
    assert torch.equal(LexicalBias(GREEN, 2.0).favour(LOGITS), expected)


def test_hard_bias_forbids_red_codes_and_leaves_green_ones() -> None:
    favoured = LexicalBias(GREEN, float("inf")).favour(LOGITS)
    assert torch.isneginf(favoured[:, ~torch.from_numpy(GREEN)]).all()
    assert torch.equal(favoured[:, GREEN], LOGITS[:, GREEN])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_no_bias_changes_no_bit(dtype: torch.dtype) -> None:
    logits = LOGITS.to(dtype)
    favoured = LexicalBias(GREEN, 0.0).favour(logits)
    assert torch.equal(favoured, logits)
    assert torch.equal(torch.signbit(favoured), torch.signbit(logits))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_logits_keep_their_type(dtype: torch.dtype) -> None:
    bias = LexicalBias(GREEN, 1.0)
    assert bias.favour(LOGITS.to(dtype)).dtype is dtype
    assert bias.favour(LOGITS).dtype is LOGITS.dtype


@pytest.mark.parametrize("delta", [-1.0, float("nan")])
def test_a_bias_against_green_is_refused(delta: float) -> None:
    with pytest.raises(ValueError, match="delta"):
        LexicalBias(GREEN, delta)


def test_a_list_without_green_codes_is_refused() -> None:
    with pytest.raises(ValueError, match="green"):
        LexicalBias(np.zeros(4, bool), 1.0)
