"""How tensors of each layout become a codec and a model, and how boldly it draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from generators.cards import PARTS, Card, Kept
from generators.checkpoints import janus, llamagen, var
from generators.checkpoints.files import BadCheckpoint
from generators.checkpoints.janus import JanusFiles
from generators.checkpoints.layouts import Layout
from generators.codecs.residual import PATCHES_256, PATCHES_512, ResidualCodec
from generators.codecs.vqgan import VQGANCodec
from generators.huggingface.causal import CausalModel
from generators.huggingface.janus import JanusCodec, JanusNetwork
from generators.huggingface.janus_prompts import JanusPrompts
from generators.interface import Codec, DiscreteModel
from generators.llamagen import ByClass, ByText, LlamaGenModel, LlamaGenTransformer
from generators.products import halve
from generators.sampling import Sampling
from generators.scales import Numbered, ScalesModel
from generators.t5 import Encoder, T5States

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Family:
    """What a layout's generators have in common; both functions raise BadCheckpoint.

    A model is built of its tensors, of its codec on the same device, and of what lies beside its
    weights; CannotHalve is raised for weights that cannot be kept as the card says.
    """

    sampling: Sampling
    codec: Callable[[Card, Tensors, Kept | None, torch.device], Codec]
    model: Callable[[Card, Tensors, Codec, Kept | None, torch.device], DiscreteModel]


def family_of(card: Card) -> Family:
    """The family of a card's layout."""
    return FAMILIES[Layout(card.layout)]


def _llamagen_codec(
    card: Card, tensors: Tensors, beside: Kept | None, device: torch.device
) -> VQGANCodec:
    return llamagen.load_codec(tensors, name=card.name).to(device)


def _llamagen_model(
    card: Card, tensors: Tensors, codec: Codec, beside: Kept | None, device: torch.device
) -> LlamaGenModel:
    transformer = llamagen.load_transformer(
        tensors, name=card.name, side=card.tokens, heads=card.heads
    )
    asking = (
        _by_text(card, transformer, beside)
        if isinstance(beside, Encoder)
        else ByClass(Numbered(card.classes))
    )
    if PARTS[card.weights]:
        halve(transformer, 1 if PARTS[card.weights] == 1 else 2)
    return LlamaGenModel(transformer.to(device), asking)


def _by_text(card: Card, transformer: LlamaGenTransformer, encoder: Encoder) -> ByText:
    config = transformer.config
    states = T5States(encoder, places=config.prefix)
    if states.width != config.caption_dim:
        raise BadCheckpoint(
            f"{card.name} was trained with text states of {config.caption_dim} numbers, and "
            f"{encoder.name} gives {states.width}: it is another encoder"
        )
    return ByText(states)


def _var_codec(
    card: Card, tensors: Tensors, beside: Kept | None, device: torch.device
) -> ResidualCodec:
    sides = PATCHES_256 if card.tokens == PATCHES_256[-1] else PATCHES_512
    return var.load_codec(tensors, name=card.name, sides=sides).to(device)


def _var_model(
    card: Card, tensors: Tensors, codec: Codec, beside: Kept | None, device: torch.device
) -> ScalesModel:
    assert isinstance(codec, ResidualCodec), "a layout's model is built with its own codec"
    transformer = var.load_transformer(tensors, name=card.name).to(device)
    return ScalesModel(transformer, codec.quantize, Numbered(card.classes))


def _janus_codec(
    card: Card, tensors: Tensors, beside: Kept | None, device: torch.device
) -> JanusCodec:
    assert isinstance(beside, JanusFiles), "the sizes of a Janus lie beside its weights"
    model = janus.load_codec(tensors, beside)
    return JanusCodec(model.to(device))  # type: ignore[arg-type]


def _janus_model(
    card: Card, tensors: Tensors, codec: Codec, beside: Kept | None, device: torch.device
) -> CausalModel:
    assert isinstance(beside, JanusFiles), "the sizes of a Janus lie beside its weights"
    prompts, model = JanusPrompts(beside), janus.load_transformer(tensors, beside)
    return CausalModel(JanusNetwork(model.to(device), prompts))  # type: ignore[arg-type]


# Sampling as the official samples have it; VAR's guidance of 4 is 1 + 4 here, and Janus has no
# cuts: no codebook is larger.
FAMILIES = {
    Layout.LLAMAGEN: Family(Sampling(4.0, 1.0, 2000, 1.0), _llamagen_codec, _llamagen_model),
    Layout.VAR: Family(Sampling(5.0, 1.0, 900, 0.95), _var_codec, _var_model),
    Layout.JANUS: Family(Sampling(5.0, 1.0, 2**20, 1.0), _janus_codec, _janus_model),
}
