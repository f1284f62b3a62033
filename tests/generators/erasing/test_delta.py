import json

import pytest
import torch
from safetensors.torch import save
from torch import nn

from generators.erasing.delta import Applied, BadDelta, Delta, read_delta, write_delta

BASE = b"\x01" * 32


def module() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5, bias=False), nn.Linear(5, 4, bias=False))


def weight(model: nn.Sequential) -> torch.Tensor:
    return model.get_parameter("0.weight")


def delta(seed: int, *, base: bytes = BASE, name: str = "0.weight") -> Delta:
    rng = torch.Generator().manual_seed(seed)
    pair = torch.randn(2, 6, generator=rng), torch.randn(5, 2, generator=rng)
    return read_delta(write_delta(base, f"erases: {seed}", {"seed": seed}, {name: pair}), name="d")


def test_a_delta_is_read_as_it_was_written() -> None:
    one = delta(3)
    assert (one.base, one.says, one.recipe) == (BASE, "erases: 3", {"seed": 3})
    again = write_delta(one.base, one.says, one.recipe, one.pairs)
    assert read_delta(again, name="d").digest == one.digest


def test_applied_and_removed_the_weights_are_the_same_to_the_bit() -> None:
    model = module()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    applied = Applied(model, BASE)
    applied.apply([delta(1), delta(2)])
    a, b = delta(1).pairs["0.weight"]
    c, d = delta(2).pairs["0.weight"]
    torch.testing.assert_close(weight(model), before["0.weight"] + b @ a + d @ c)
    applied.remove()
    assert applied.digests == ()
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name])


def test_deltas_stack_in_any_order_and_once_each() -> None:
    one, other = module(), module()
    Applied(one, BASE).apply([delta(1), delta(2), delta(1)])
    Applied(other, BASE).apply([delta(2), delta(1)])
    assert torch.equal(weight(one), weight(other))


def test_what_was_applied_before_is_gone() -> None:
    model, alone = module(), module()
    applied = Applied(model, BASE)
    applied.apply([delta(1)])
    applied.apply([delta(2)])
    Applied(alone, BASE).apply([delta(2)])
    assert torch.equal(weight(model), weight(alone))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (delta(1, base=b"\x02" * 32), "was trained on weights 0202"),
        (delta(1, name="2.weight"), r"changes 2.weight \(5, 6\), there is None"),
        (delta(1, name="1.weight"), r"changes 1.weight \(5, 6\), there is \(4, 5\)"),
    ],
)
def test_a_delta_of_another_model_changes_nothing(wrong: Delta, says: str) -> None:
    model = module()
    applied = Applied(model, BASE)
    applied.apply([delta(1)])
    before = weight(model).detach().clone()
    with pytest.raises(BadDelta, match=says):
        applied.apply([delta(2), wrong])
    assert torch.equal(weight(model), before)


def test_files_that_are_no_deltas_are_named() -> None:
    data = write_delta(BASE, "erases: x", {}, delta(1).pairs)
    with pytest.raises(BadDelta, match="f is not a delta"):
        read_delta(data[:40], name="f")
    with pytest.raises(BadDelta, match="f is not a delta"):
        read_delta(save({"a": torch.zeros(1)}), name="f")
    facts = json.dumps({"format": "other/9", "base": "00", "says": "", "recipe": "{}"})
    with pytest.raises(BadDelta, match="format 'other/9'"):
        read_delta(save({"a.A": torch.zeros(1)}, metadata={"delta": facts}), name="f")
    facts = facts.replace("other/9", "countermark-delta/1")
    with pytest.raises(BadDelta, match="needs an A and a B"):
        read_delta(save({"a.A": torch.zeros(1, 1)}, metadata={"delta": facts}), name="f")


@pytest.mark.parametrize("pairs", [{}, {"w": (torch.zeros(2, 3), torch.zeros(4, 3))}])
def test_a_delta_that_changes_nothing_or_cannot_be_multiplied_is_not_written(
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]],
) -> None:
    with pytest.raises(BadDelta):
        write_delta(BASE, "erases: x", {}, pairs)


def test_numbers_that_half_precision_cannot_hold_are_refused() -> None:
    pair = torch.full((1, 2), 1e6), torch.ones(2, 1)
    with pytest.raises(BadDelta, match=r"w\.A"):
        write_delta(BASE, "erases: x", {}, {"w": pair})


def test_a_bit_changed_is_another_digest() -> None:
    one = delta(1)
    data = bytearray(write_delta(one.base, one.says, one.recipe, one.pairs))
    data[-1] ^= 1
    assert read_delta(bytes(data), name="d").digest != one.digest
