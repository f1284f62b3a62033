"""Checkpoints of VAR (arXiv 2404.02905) under their official names: var_d*.pth and its VQVAE.

Sizes are told from the shapes of the tensors, so that every depth loads, and d36-s with its shared
adaptive norm. Loading is strict: a tensor that is missing, left over or of another shape is named.
Three buffers may be left out, because they follow from the sizes; where a file holds them they must
be what they follow from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from torch import Tensor

from generators.checkpoints.files import BadCheckpoint, fill, shape_of
from generators.codecs.residual import PATCHES_256, PATCHES_512, ResidualCodec, ResidualConfig
from generators.scales import ScalesConfig, ScalesTransformer

COMPUTED = ("lvl_1L", "attn_bias_for_masking", "zero_k_bias")  # the ends of their names
COUNTED = "quantize.ema_vocab_hit_SV"  # how often codes were used in training: means nothing here
PATCHES = (PATCHES_256, PATCHES_512)

_shape = partial(shape_of, layout="VAR")


def load_transformer(
    tensors: Mapping[str, Tensor], *, name: str, sides: Iterable[int] | None = None
) -> ScalesTransformer:
    """The transformer of official tensors in single precision; `name` is for errors.

    `sides` are those of the scales, if they are not VAR's own for 256 or 512 px.
    """
    config = transformer_config(tensors, name=name, sides=sides)
    return fill(ScalesTransformer(config), tensors, name=name, computed=COMPUTED)


def load_codec(
    tensors: Mapping[str, Tensor], *, name: str, sides: Iterable[int] = PATCHES_256
) -> ResidualCodec:
    """The VQVAE of official tensors in single precision, for scales of these sides."""
    config = codec_config(tensors, name=name, sides=sides)
    kept = {key: tensor for key, tensor in tensors.items() if key != COUNTED}
    return fill(ResidualCodec(config), kept, name=name, computed=(COUNTED,))


def transformer_config(
    tensors: Mapping[str, Tensor], *, name: str, sides: Iterable[int] | None = None
) -> ScalesConfig:
    """The sizes that official tensors tell; raises BadCheckpoint."""
    places, levels, words, classes, head = (
        _shape(tensors, key, name=name, dims=dims)
        for key, dims in (
            ("pos_1LC", 3),
            ("lvl_embed.weight", 2),
            ("word_embed.weight", 2),
            ("class_emb.weight", 2),
            ("head.weight", 2),
        )
    )
    known = [tuple(sides)] if sides is not None else PATCHES
    fitting = [p for p in known if (len(p), sum(s * s for s in p)) == (levels[0], places[1])]
    if not fitting:
        raise BadCheckpoint(
            f"{name} has {levels[0]} scales of {places[1]} tokens in all, none of those known"
        )
    unit = "blocks.0.attn.scale_mul_1H11" in tensors
    depth = len({key.split(".")[1] for key in tensors if key.startswith("blocks.")})
    heads = tensors["blocks.0.attn.scale_mul_1H11"].shape[1] if unit else places[2] // 64
    return ScalesConfig(
        codes=head[0],
        code_dim=words[1],
        sides=fitting[0],
        depth=depth,
        dim=places[2],
        heads=heads,
        classes=classes[0] - 1,
        unit_heads=unit,
        shared_norm="shared_ada_lin.1.weight" in tensors,
    )


def codec_config(
    tensors: Mapping[str, Tensor], *, name: str, sides: Iterable[int]
) -> ResidualConfig:
    """The sizes that official tensors tell; raises BadCheckpoint."""
    codes, dim = _shape(tensors, "quantize.embedding.weight", name=name, dims=2)
    width = _shape(tensors, "encoder.conv_in.weight", name=name, dims=4)[0]
    mixers = len({k.split(".")[3] for k in tensors if k.startswith("quantize.quant_resi.")})
    return ResidualConfig(codes=codes, dim=dim, width=width, sides=tuple(sides), mixers=mixers)
