"""Checkpoints of LlamaGen (arXiv 2406.06525) under their official names: c2i_*, t2i_*, vq_ds*.

Sizes are told from the shapes of the tensors, all but three: the heads, which follow from the width
in every official size; the side of the token grid, which no tensor has; and how wide an MLP is
rounded, which its shape tells. Loading is strict.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from generators.checkpoints.files import BadCheckpoint, fill, shape_of
from generators.codecs.vqgan import VQGANCodec, VQGANConfig
from generators.gpt import LlamaGenConfig, LlamaGenTransformer

USED = "quantize.codebook_used"  # which codes training used lately: means nothing here
HEAD_WIDTHS = {3200: 100, 4096: 128}  # of GPT-3B and GPT-7B; all others have 64

_shape = partial(shape_of, layout="LlamaGen")


def load_transformer(
    tensors: Mapping[str, Tensor], *, name: str, side: int, heads: int | None = None
) -> LlamaGenTransformer:
    """The transformer of official tensors in single precision; `name` is for errors.

    `side` is that of its token grid: 16 for 256 px with VQ-16. `heads` only for sizes that are not
    official.
    """
    config = transformer_config(tensors, name=name, side=side, heads=heads)
    return fill(LlamaGenTransformer(config), tensors, name=name)


def load_codec(tensors: Mapping[str, Tensor], *, name: str) -> VQGANCodec:
    """The VQ model of official tensors in single precision."""
    config = codec_config(tensors, name=name)
    kept = {key: tensor for key, tensor in tensors.items() if key != USED}
    return fill(VQGANCodec(config), kept, name=name)


def transformer_config(
    tensors: Mapping[str, Tensor], *, name: str, side: int, heads: int | None = None
) -> LlamaGenConfig:
    """The sizes that official tensors tell; raises BadCheckpoint."""
    codes, dim = _shape(tensors, "tok_embeddings.weight", name=name, dims=2)
    hidden = _shape(tensors, "layers.0.feed_forward.w1.weight", name=name, dims=2)[0]
    text = "cls_embedding.uncond_embedding" in tensors
    key = "cls_embedding.uncond_embedding" if text else "cls_embedding.embedding_table.weight"
    first, second = _shape(tensors, key, name=name, dims=2)
    return LlamaGenConfig(
        codes=codes,
        side=side,
        dim=dim,
        layers=len({key.split(".")[1] for key in tensors if key.startswith("layers.")}),
        heads=heads or dim // HEAD_WIDTHS.get(dim, 64),
        hidden=hidden,
        classes=0 if text else first - 1,
        prefix=first if text else 1,
        caption_dim=second if text else 0,
    )


def codec_config(tensors: Mapping[str, Tensor], *, name: str) -> VQGANConfig:
    """The sizes that official tensors tell; raises BadCheckpoint."""
    codes, dim = _shape(tensors, "quantize.embedding.weight", name=name, dims=2)
    width, channels = (
        _shape(tensors, f"encoder.{key}.weight", name=name, dims=4)[0]
        for key in ("conv_in", "conv_out")
    )
    levels = {key.split(".")[2] for key in tensors if key.startswith("encoder.conv_blocks.")}
    blocks = {key.split(".")[4] for key in tensors if key.startswith("encoder.conv_blocks.0.res.")}
    widths = [
        _shape(tensors, f"encoder.conv_blocks.{n}.res.0.conv1.weight", name=name, dims=4)[0]
        for n in range(len(levels))
    ]
    if not width or any(one % width for one in widths):
        raise BadCheckpoint(f"{name}: the widths {widths} are no multiples of {width}")
    return VQGANConfig(
        codes=codes,
        dim=dim,
        channels=channels,
        width=width,
        widths=tuple(one // width for one in widths),
        blocks=len(blocks),
    )
