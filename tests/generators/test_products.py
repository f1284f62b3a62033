from typing import Literal

import pytest
import torch
from torch import nn

from generators.products import CannotHalve, HalfLinear, halve


@pytest.mark.parametrize("parts", [1, 2])
def test_rows_do_not_depend_on_how_many_there_are(parts: Literal[1, 2]) -> None:
    product = HalfLinear(torch.randn(96, 64), parts)
    rows = torch.randn(260, 64)
    together = product(rows)
    for count in range(1, 260):
        assert torch.equal(product(rows[:count]), together[:count]), count


def test_a_product_is_that_of_weights_rounded_to_half_precision() -> None:
    weight, rows = torch.randn(96, 64), torch.randn(2, 5, 64)
    found = HalfLinear(weight)(rows)
    torch.testing.assert_close(found, rows @ weight.half().float().T, rtol=1e-5, atol=1e-5)
    assert torch.equal(found, HalfLinear(weight.half())(rows))


def test_two_halves_are_as_good_as_single_precision() -> None:
    weight, rows = torch.randn(512, 768) * 0.02, torch.randn(8, 768)
    exact = rows.double() @ weight.double().T
    apart = [
        float((HalfLinear(weight, parts)(rows) - exact).abs().max() / exact.abs().max())
        for parts in (1, 2)
    ]
    assert 1e-5 < apart[0] < 1e-3
    assert apart[1] < 3e-6


def test_products_without_a_bias_are_halved_and_others_left() -> None:
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Sequential(nn.Linear(8, 8)))
    halve(model)
    assert isinstance(model[0], HalfLinear)
    assert [name for name, _ in model.named_parameters()] == ["1.0.weight", "1.0.bias"]


@pytest.mark.parametrize("large", [1e5, torch.inf, torch.nan])
def test_what_half_precision_cannot_hold_is_refused(large: float) -> None:
    with pytest.raises(CannotHalve, match="does not fit"):
        HalfLinear(torch.full((4, 4), large))
