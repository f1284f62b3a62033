"""Which official layout a file of tensors has, told by names that no other layout has."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from torch import Tensor

from generators.checkpoints.files import BadCheckpoint


class Layout(StrEnum):
    """Whose names they are."""

    LLAMAGEN = "llamagen"
    VAR = "var"
    JANUS = "janus"  # told by a folder's config.json, not by names of tensors


class Part(StrEnum):
    """What of a generator a file holds."""

    TRANSFORMER = "transformer"
    CODEC = "codec"


TELLING: dict[tuple[Layout, Part], tuple[str, ...]] = {
    (Layout.LLAMAGEN, Part.TRANSFORMER): (
        "tok_embeddings.weight",
        "layers.0.attention.wqkv.weight",
    ),
    (Layout.LLAMAGEN, Part.CODEC): (
        "quant_conv.weight",
        "encoder.conv_blocks.0.res.0.conv1.weight",
    ),
    (Layout.VAR, Part.TRANSFORMER): ("pos_1LC", "blocks.0.attn.mat_qkv.weight"),
    (Layout.VAR, Part.CODEC): ("quant_conv.weight", "quantize.quant_resi.qresi_ls.0.weight"),
}
JANUS_HEAD = "model.generation_head.vision_head.weight"
CAPTIONS = "cls_embedding.uncond_embedding"  # of LlamaGen's text models


def recognise(tensors: Mapping[str, Tensor], *, name: str) -> tuple[Layout, Part]:
    """Layout and part of tensors by their names; raises BadCheckpoint for none that is known."""
    for known, keys in TELLING.items():
        if all(key in tensors for key in keys):
            return known
    if JANUS_HEAD in tensors:
        raise BadCheckpoint(f"{name} is of a Janus: bring its folder, whose config.json says so")
    some = ", ".join(sorted(tensors)[:3]) or "nothing"
    raise BadCheckpoint(
        f"{name} has no layout that is known ({', '.join(Layout)}): it holds {some}"
        f"{' ...' if len(tensors) > 3 else ''}"
    )
