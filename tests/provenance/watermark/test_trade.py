"""Red gives way to the likeliest green that looks alike, and only within what may be spent."""

import numpy as np
import pytest
import torch

from provenance.watermark.trade import CHUNK, Likeness, Trade

# Codes on a line: 0 and 1 are close, 2 is further, 3 is far away.
LINE = torch.tensor([[0.0], [1.0], [3.0], [10.0]])
GREEN = np.array([False, True, True, True])
LIKENESS = Likeness(LINE, weight=1.0)


def traded(logits: list[float], allowance: float, drawn: int = 0) -> int:
    trade = Trade(GREEN, LIKENESS, allowance)
    return int(trade.swap(torch.tensor([drawn]), torch.tensor([logits])))


def test_the_unit_is_the_mean_squared_distance_to_the_nearest() -> None:
    assert LIKENESS.unit == pytest.approx((1 + 1 + 4 + 49) / 4)


def test_a_large_codebook_has_the_same_unit_in_parts() -> None:
    vectors = torch.randn(CHUNK + 300, 4, generator=torch.Generator().manual_seed(1))
    apart = torch.cdist(vectors.double(), vectors.double()).fill_diagonal_(torch.inf)
    assert Likeness(vectors).unit == pytest.approx(float(apart.min(1).values.square().mean()))


def test_green_stays() -> None:
    assert traded([9.0, 0.0, 5.0, 0.0], 10.0, drawn=1) == 1


def test_the_likeliest_green_is_taken_where_all_look_alike() -> None:
    alike = Trade(GREEN, Likeness(LINE, weight=0.0), 9.0)
    logits = torch.tensor([[5.0, 1.0, 2.0, 4.0]])
    assert alike.swap(torch.tensor([0]), logits).tolist() == [3]


def test_likeness_outweighs_a_little_likelihood() -> None:
    # One unit is 13.75: code 1 loses 0.07 nats, code 2 0.65, code 3 7.3.
    assert traded([5.0, 1.0, 1.2, 4.0], 9.0) == 1
    assert traded([5.0, 1.0, 2.0, 4.0], 9.0) == 2


def test_a_trade_that_costs_more_than_it_is_worth_is_not_made() -> None:
    # 4.1 nats less likely, and 0.07 for the distance.
    assert traded([5.0, 0.9, 0.0, 0.0], 4.1) == 0
    assert traded([5.0, 0.9, 0.0, 0.0], 4.2) == 1


def test_repeats_are_worth_less() -> None:
    trade = Trade(GREEN, Likeness(LINE, weight=0.0), 6.0)
    logits, red = torch.tensor([[4.5, 0.0, -9.0, -9.0]]), torch.tensor([0])
    # Worth (6 + 6) / 2 at first; then the code is there, and (6 x 0.41 + 6) / 2 is less than 4.5.
    assert [trade.swap(red, logits).item() for _ in range(2)] == [1, 0]
    new = torch.tensor([[4.5, 0.0, 0.0, -9.0]])
    assert trade.swap(red, new).item() == 0  # the red one has been kept, one more takes 0.41 away


def test_a_new_code_is_preferred_to_a_repeated_one() -> None:
    trade = Trade(GREEN, Likeness(LINE, weight=0.0), 6.0)
    logits, red = torch.tensor([[2.0, 1.0, 0.5, -9.0]]), torch.tensor([0])
    assert [trade.swap(red, logits).item() for _ in range(2)] == [1, 2]


def test_a_batch_of_places_is_traded_one_after_the_other() -> None:
    trade = Trade(GREEN, LIKENESS, 3.0)
    logits = torch.tensor([[1.0, 0.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0], [1.0, 0.0, 3.0, 0.0]])
    ids = torch.tensor([0, 0, 0])
    assert trade.swap(ids, logits).tolist() == [1, 0, 2]
    assert ids.tolist() == [0, 0, 0]


def test_bad_facts_are_refused() -> None:
    with pytest.raises(ValueError, match="allowance"):
        Trade(GREEN, LIKENESS, -1.0)
    with pytest.raises(ValueError, match="3 colours for 4 codes"):
        Trade(GREEN[:3], LIKENESS, 1.0)
