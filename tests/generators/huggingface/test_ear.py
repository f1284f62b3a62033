import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from generators.checkpoints.files import BadCheckpoint
from generators.huggingface.ear import read_ear, swapped
from tests.generators.huggingface import tiny


def published(prefix: str = "language_model.model.") -> dict[str, dict[str, Tensor]]:
    """Other weights for both attentions of the tiny model, as the script names them."""
    model = tiny.janus().model.language_model
    torch.manual_seed(5)
    return {
        f"{prefix}layers.{n}.self_attn": {
            name: torch.randn_like(tensor)
            for name, tensor in model.get_submodule(f"layers.{n}.self_attn").state_dict().items()
        }
        for n in range(2)
    }


def digest(model: torch.nn.Module) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in model.state_dict().values()]


def test_published_modules_are_swapped_in_and_taken_out_to_the_bit(tmp_path: Path) -> None:
    path, table = tmp_path / "ft_model_ear_nudity.pt", published()
    torch.save(table, path)
    model = tiny.janus().model.language_model
    before = digest(model)
    with swapped(model, read_ear(path), name=path.name):
        inside = model.get_submodule("layers.1.self_attn").state_dict()
        for name, tensor in table["language_model.model.layers.1.self_attn"].items():
            assert torch.equal(inside[name], tensor)
    assert digest(model) == before


def test_the_models_own_are_back_after_an_error() -> None:
    model = tiny.janus().model.language_model
    before = digest(model)
    with pytest.raises(KeyError), swapped(model, published(""), name="ear"):
        raise KeyError
    assert digest(model) == before


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda t: t["layers.1.self_attn"].pop("q_proj.weight"), "q_proj.weight is missing"),
        (lambda t: t["layers.1.self_attn"].update(x=torch.zeros(1)), "x is not part of it"),
        (lambda t: t.update({"layers.9.self_attn": {}}), "no module layers.9.self_attn"),
        (
            lambda t: t["layers.0.self_attn"].update({"k_proj.weight": torch.zeros(2, 2)}),
            r"k_proj.weight is \(2, 2\) instead of \(32, 32\)",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(damage, says: str) -> None:  # type: ignore[no-untyped-def]
    model, table = tiny.janus().model.language_model, published("")
    before = digest(model)
    damage(table)
    with pytest.raises(BadCheckpoint, match=says), swapped(model, table, name="ear.pt"):
        pytest.fail("nothing may run")
    assert digest(model) == before


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    ("holds", "says"),
    [
        ({"layers.0.self_attn": _Runs()}, "more than tensors"),
        ({"a": torch.zeros(1)}, "no table of modules"),
        ({"lm_head": {"weight": torch.zeros(1)}}, "no layer's: lm_head"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, holds: object, says: str) -> None:
    torch.save(holds, tmp_path / "a.pt")
    with pytest.raises(BadCheckpoint, match=says):
        read_ear(tmp_path / "a.pt")
