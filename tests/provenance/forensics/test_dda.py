"""The authors' checkpoint layout, with tiny random weights."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from provenance.forensics.dda import MEAN, SPREAD, load_dual_alignment
from provenance.forensics.member import BadMember, look
from tests.provenance.forensics.scenes import scene

WIDTH, DEPTH, RANK, SIDE = 64, 2, 8, 56


def checkpoint() -> dict[str, Tensor]:
    """Every tensor of the published layout, of a small ViT."""
    rng = torch.Generator().manual_seed(0)

    def some(*shape: int, scale: float = 0.2) -> Tensor:
        return torch.randn(*shape, generator=rng) * scale

    body = {
        "cls_token": some(1, 1, WIDTH),
        "mask_token": some(1, WIDTH),
        "pos_embed": some(1, 17, WIDTH),
        "patch_embed.proj.weight": some(WIDTH, 3, 14, 14, scale=0.05),
        "patch_embed.proj.bias": some(WIDTH),
        "norm.weight": 1 + some(WIDTH),
        "norm.bias": some(WIDTH),
    }
    for n in range(DEPTH):
        for norm in ("norm1", "norm2"):
            body[f"blocks.{n}.{norm}.weight"] = 1 + some(WIDTH)
            body[f"blocks.{n}.{norm}.bias"] = some(WIDTH)
        for scale in ("ls1", "ls2"):
            body[f"blocks.{n}.{scale}.gamma"] = some(WIDTH, scale=1)
        shapes = {"attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
        for layer, (outputs, inputs) in shapes.items():
            at = f"blocks.{n}.{layer}"
            body[f"{at}.original_layer.weight"] = some(outputs * WIDTH, inputs * WIDTH)
            body[f"{at}.original_layer.bias"] = some(outputs * WIDTH)
            body[f"{at}.lora.lora_A"] = some(RANK, inputs * WIDTH)
            body[f"{at}.lora.lora_B"] = some(outputs * WIDTH, RANK)
    found = {f"base_model.model.{name}": tensor for name, tensor in body.items()}
    return found | {"base_model.fc.weight": some(1, WIDTH), "base_model.fc.bias": some(1)}


def by_hand(tensors: dict[str, Tensor], crops: Tensor) -> Tensor:
    """The same function written out: arXiv 2304.07193's ViT with low-rank parts beside layers."""

    def get(name: str) -> Tensor:
        return tensors[f"base_model.model.{name}"]

    def layer(x: Tensor, name: str) -> Tensor:
        out = F.linear(x, get(f"{name}.original_layer.weight"), get(f"{name}.original_layer.bias"))
        low = F.linear(x, get(f"{name}.lora.lora_A"))
        return out + F.linear(low, get(f"{name}.lora.lora_B")) / RANK

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (WIDTH,), get(f"{name}.weight"), get(f"{name}.bias"), 1e-6)

    x = (crops - torch.tensor(MEAN)[:, None, None]) / torch.tensor(SPREAD)[:, None, None]
    weight, bias = get("patch_embed.proj.weight"), get("patch_embed.proj.bias")
    x = F.conv2d(x, weight, bias, stride=14).flatten(2).transpose(1, 2)
    x = torch.cat([get("cls_token").expand(len(x), -1, -1), x], 1) + get("pos_embed")
    for n in range(DEPTH):
        at = f"blocks.{n}"
        q, k, v = (p[:, None] for p in layer(norm(x, f"{at}.norm1"), f"{at}.attn.qkv").chunk(3, -1))
        seen = F.scaled_dot_product_attention(q, k, v)[:, 0]
        x = x + get(f"{at}.ls1.gamma") * layer(seen, f"{at}.attn.proj")
        inner = F.gelu(layer(norm(x, f"{at}.norm2"), f"{at}.mlp.fc1"))
        x = x + get(f"{at}.ls2.gamma") * layer(inner, f"{at}.mlp.fc2")
    head = tensors["base_model.fc.weight"], tensors["base_model.fc.bias"]
    return F.linear(norm(x, "norm")[:, 0], *head)[:, 0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.save({"model": checkpoint()}, tmp_path / "ckpt.pth")
    return tmp_path / "ckpt.pth"


def test_the_checkpoint_computes_what_its_layers_say(path: Path) -> None:
    crops = np.stack([scene(n, SIDE, SIDE) for n in range(2)])
    found = load_dual_alignment(path, side=SIDE).logits(crops)
    wanted = by_hand(checkpoint(), torch.from_numpy(crops)).double().numpy()
    assert found == pytest.approx(wanted, rel=1e-4)
    assert abs(found[0] - found[1]) > 1e-3


def test_it_judges_the_middle_crop_at_native_resolution(path: Path) -> None:
    scores = look(load_dual_alignment(path, side=SIDE), scene())
    assert len(scores.places) == 1


@pytest.mark.parametrize(
    ("drop", "extra", "said"),
    [
        ("base_model.model.norm.weight", None, "layernorm.weight"),
        ("base_model.model.blocks.1.attn.qkv.lora.lora_B", None, "lora_B"),
        ("base_model.fc.bias", None, "bias"),
        (None, "optimizer.step", "optimizer.step"),
    ],
)
def test_what_is_missing_or_too_much_is_named(
    tmp_path: Path, drop: str | None, extra: str | None, said: str
) -> None:
    tensors = checkpoint()
    if drop is not None:
        del tensors[drop]
    if extra is not None:
        tensors[extra] = torch.zeros(1)
    torch.save({"model": tensors}, tmp_path / "ckpt.pth")
    with pytest.raises(BadMember, match=said):
        load_dual_alignment(tmp_path / "ckpt.pth", side=SIDE)


class Trap:
    """A pickle that would run a command."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.file}",)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    torch.save({"model": Trap(tmp_path / "ran")}, tmp_path / "ckpt.pth")
    with pytest.raises(BadMember, match="holds more than tensors"):
        load_dual_alignment(tmp_path / "ckpt.pth", side=SIDE)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("data", [b"", b"no checkpoint", None])
def test_a_file_that_is_none_is_refused(tmp_path: Path, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / "ckpt.pth").write_bytes(data)
    with pytest.raises(BadMember, match="ckpt.pth"):
        load_dual_alignment(tmp_path / "ckpt.pth", side=SIDE)
