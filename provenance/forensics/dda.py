"""DINOv2 with LoRA as in Dual Data Alignment (arXiv 2505.14359), from the authors' checkpoint.

The checkpoint (Apache-2.0) is a pickle with a tensor dictionary under `model`: a DINOv2 ViT with
patches of 14 px under `base_model.model.` in the names of its first publication, four linear layers
of each block as `original_layer` and `lora.lora_A`, `lora.lora_B` (rank 8, scaled by 1/8), and the
head under `base_model.fc.`. It is read without running code in it, and the low-rank parts are added
to their layers, which is the same function. Nothing of it comes with Countermark, and no figure in
the documentation is of it.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import Dinov2Config, Dinov2Model

from provenance.forensics.member import BadMember, Logits
from provenance.image import Pixels

SIDE = 336  # px: the authors' crop, 24 patches of 14
PATCH = 14
SCALE = 1 / 8  # alpha 1 over rank 8
MEAN = (0.48145466, 0.4578275, 0.40821073)
SPREAD = (0.26862954, 0.26130258, 0.27577711)
HEAD = 64  # channels of an attention head, in every DINOv2

_BODY, _FC = "base_model.model.", "base_model.fc."
_NAMES = {  # of a block: theirs -> transformers'
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.proj": "attention.o_proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}


class DualAlignment:
    """The member; the middle 336 px decide, or as much as fits of a smaller picture."""

    licence = "Apache-2.0 (Dual-Data-Alignment and DINOv2)"
    most = 1

    def __init__(self, body: nn.Module, head: nn.Linear, name: str, side: int = SIDE) -> None:
        self._body, self._head = body.eval(), head.eval()
        self.name, self.side = name, side

    def transform(self, pixels: Pixels) -> Pixels:
        """The picture as it is."""
        return pixels

    def logits(self, cut: Pixels) -> Logits:
        """(N, 3, side, side) in [0, 1] to (N,)."""
        mean, spread = (torch.tensor(v)[:, None, None] for v in (MEAN, SPREAD))
        with torch.inference_mode():
            crops = (torch.from_numpy(np.ascontiguousarray(cut)) - mean) / spread
            found: Tensor = self._head(self._body(crops).last_hidden_state[:, 0])
        return found[:, 0].double().numpy()


def load_dual_alignment(path: Path, *, side: int = SIDE) -> DualAlignment:
    """The member of the authors' checkpoint; raises BadMember with what is missing or in excess."""
    try:
        data = path.read_bytes()
        document = torch.load(path, map_location="cpu", weights_only=True)
        tensors = {name: t.float() for name, t in document["model"].items()}
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError, EOFError) as e:
        raise BadMember(f"{path}: not a checkpoint of tensors: {e}") from e
    except pickle.UnpicklingError as e:
        raise BadMember(f"{path}: holds more than tensors, and is not opened") from e
    body = {n.removeprefix(_BODY): t for n, t in tensors.items() if n.startswith(_BODY)}
    other = [n for n in tensors if not n.startswith((_BODY, _FC))]
    try:
        body = merged(body)
        model = Dinov2Model(_config(body))
        head = nn.Linear(body["cls_token"].shape[-1], 1)
        missing, excess = model.load_state_dict(dict(_renamed(body)), strict=False)
        head.load_state_dict({p: tensors[_FC + p] for p in ("weight", "bias")})
    except (KeyError, RuntimeError, ValueError) as e:
        raise BadMember(f"{path}: not in the layout of Dual Data Alignment: {e}") from e
    if missing or excess or other:
        raise BadMember(f"{path}: missing {missing[:3]}, not known {[*excess, *other][:3]}")
    return DualAlignment(model, head, f"DDA/1 {sha256(data).hexdigest()[:16]}", side)


def merged(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with every low-rank part added to its layer: W + B A / 8."""
    found = {}
    for name, tensor in tensors.items():
        if ".lora." in name:
            continue
        plain = name.replace(".original_layer", "")
        layer = name.removesuffix(".original_layer.weight")
        if layer != name:
            low, high = tensors[f"{layer}.lora.lora_A"], tensors[f"{layer}.lora.lora_B"]
            tensor = tensor + SCALE * high @ low
        found[plain] = tensor
    return found


def _config(body: dict[str, Tensor]) -> Dinov2Config:
    width = body["cls_token"].shape[-1]
    blocks = {int(name.split(".")[1]) for name in body if name.startswith("blocks.")}
    places = round((body["pos_embed"].shape[1] - 1) ** 0.5)
    return Dinov2Config(
        hidden_size=width,
        num_hidden_layers=max(blocks) + 1,
        num_attention_heads=max(1, width // HEAD),
        mlp_ratio=body["blocks.0.mlp.fc1.weight"].shape[0] // width,
        image_size=places * PATCH,
        patch_size=PATCH,
    )


def _renamed(body: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The names of DINOv2's first publication as transformers has them."""
    outside = {
        "cls_token": "embeddings.cls_token",
        "mask_token": "embeddings.mask_token",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
        "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
        "norm.weight": "layernorm.weight",
        "norm.bias": "layernorm.bias",
    }
    for name, tensor in body.items():
        if name in outside:
            yield outside[name], tensor
            continue
        _, number, inner = name.split(".", 2)
        here = f"encoder.layer.{number}."
        layer, _, kind = inner.rpartition(".")
        if layer == "attn.qkv":
            for part, one in zip("qkv", tensor.chunk(3), strict=True):
                yield f"{here}attention.{part}_proj.{kind}", one
        elif kind == "gamma":
            yield f"{here}{layer.replace('ls', 'layer_scale')}.lambda1", tensor
        else:
            yield f"{here}{_NAMES[layer]}.{kind}", tensor
