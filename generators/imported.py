"""Generators that people brought: a card and checked safetensors in a folder of their own.

The card says whose layout the weights have, what was measured of them and under which licence they
are; what it names is loaded only if its SHA-256 is the one that the card holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial
from hashlib import file_digest
from pathlib import Path

import torch
from torch import Tensor

from generators.catalog import DAMAGED, EMBEDDED, GENERATORS, BadWeights, Spec, Weights
from generators.checkpoints import llamagen, var
from generators.checkpoints.files import BadCheckpoint, read
from generators.checkpoints.layouts import Layout
from generators.codecs.residual import PATCHES_256, PATCHES_512, ResidualCodec
from generators.codecs.vqgan import VQGANCodec
from generators.interface import Codec, DiscreteModel
from generators.llamagen import ByClass, ByText, LlamaGenModel, LlamaGenTransformer
from generators.products import halve
from generators.sampling import Sampling
from generators.scales import Numbered, ScalesModel
from generators.t5 import FILES, Encoder, T5States, read_encoder

FORM = "countermark-model/2"
FORMS = (FORM, "countermark-model/1")  # the first form knew no text
CARD = "card.json"
TRANSFORMER, CODEC, PAIRS = "transformer.safetensors", "codec.safetensors", "pairs.safetensors"
ENCODER = "encoder"  # the folder of the text encoder, beside them
# Licences (SPDX) under which pictures may be sold. All others, and those not known, do not count.
COMMERCIAL = ("Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0")
# As the official samples have it; VAR's guidance of 4 is 1 + 4 here.
SAMPLING = {
    Layout.LLAMAGEN: Sampling(4.0, 1.0, 2000, 1.0),
    Layout.VAR: Sampling(5.0, 1.0, 900, 0.95),
}
LEAST = 0.01  # what a scale is weighed by that is hardly ever read rightly
PARTS = {"single": 0, "two-halves": 2, "half": 1}  # halves that weights are kept in


class Prompts(StrEnum):
    """What a prompt is to a generator."""

    CLASSES = "classes"  # the number of one
    TEXT = "text"


class NotCommercial(BadWeights):
    """Weights whose licence does not allow what this installation is for."""


@dataclass(frozen=True)
class Card:
    """What is known of a generator that was brought; digests are SHA-256 in hex."""

    name: str
    layout: str
    licence: str  # SPDX, or what it says there
    classes: int
    tokens: int  # a side, of the finest grid
    stride: int  # px a token
    heads: int
    weights: str  # how products keep them: one of PARTS
    transformer: str
    codec: str
    sources: dict[str, str]  # the files that were brought
    read_back: tuple[float, ...]  # share of tokens that come back from 8-bit pixels, coarse to fine
    pictures: int  # that this was measured on
    seconds: float  # a picture, as measured
    memory: int  # bytes of weights in memory
    added: str  # ISO 8601
    prompts: str = Prompts.CLASSES.value
    encoder: dict[str, str] = field(default_factory=dict)  # the files of the text encoder
    encoder_licence: str = ""  # SPDX, or what it says there
    form: str = FORM

    @property
    def side(self) -> int:
        """px."""
        return self.tokens * self.stride

    @property
    def by_text(self) -> bool:
        """Whether a text encoder reads its prompts."""
        return self.prompts == Prompts.TEXT

    @property
    def licences(self) -> dict[str, str]:
        """Of each part that has one of its own."""
        weights = {"weights": self.licence}
        return weights | {"text encoder": self.encoder_licence} if self.by_text else weights

    @property
    def commercial(self) -> bool:
        """Whether every licence is one of those known to allow it."""
        return all(licence in COMMERCIAL for licence in self.licences.values())

    def text(self) -> bytes:
        """As it is written."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"


def read_card(folder: Path) -> Card:
    """The card of a folder; raises BadWeights."""
    path = folder / CARD
    try:
        told = json.loads(path.read_bytes())
        if not isinstance(told, dict) or told.get("form") not in FORMS:
            raise BadWeights(f"{path} is no card of the form {FORM}")
        card = Card(**{**told, "read_back": tuple(told["read_back"])})
        reading = set(dict(card.encoder))
    except OSError as e:
        raise BadWeights(f"{path}: {e.strerror}") from e
    except (ValueError, KeyError, TypeError) as e:
        raise BadWeights(f"{path} is no card of a model: {e}") from e
    if card.layout not in tuple(Layout) or card.weights not in PARTS:
        raise BadWeights(f"{path} names a layout or weights that are not known")
    if card.prompts not in tuple(Prompts) or reading != set(FILES if card.by_text else ()):
        raise BadWeights(f"{path} does not name the files that read its prompts")
    if card.name != folder.name:
        raise BadWeights(f"{path} is the card of {card.name!r}, and its folder is not called so")
    return card


def install(models: Path, *, commercial: bool) -> None:
    """Put every generator of a folder of folders into the catalog of this process.

    Where commercial use is declared, one whose licence is not known to allow it is there by name
    and refuses to be loaded; so is one whose card cannot be read or names another folder.
    """
    for folder in sorted(models.glob("*/")) if models.is_dir() else []:
        if folder.name.startswith("."):
            continue  # being written, or left by a crash
        try:
            card = read_card(folder)
            if card.name in EMBEDDED:
                raise BadWeights(f"{folder} is called as a model that comes with this package")
            GENERATORS[card.name] = spec_of(card, folder, commercial=commercial)
            DAMAGED.pop(card.name, None)
        except BadWeights as e:
            taken = folder.name in EMBEDDED
            name = f"{folder.parent.name}/{folder.name}" if taken else folder.name
            DAMAGED[name] = str(e)


def check_commercial(card: Card) -> None:
    """Raise NotCommercial unless every licence is known to allow commercial use."""
    for part, licence in card.licences.items():
        if licence not in COMMERCIAL:
            raise NotCommercial(
                f"{card.name} has its {part} under {licence!r}, which is not known to allow "
                "commercial use, and this installation is declared to be for it"
            )


def spec_of(card: Card, folder: Path, *, commercial: bool) -> Spec:
    """The spec of a card whose files lie in a folder."""
    codec = Weights(str(folder.resolve() / CODEC), bytes.fromhex(card.codec))
    scales = len(card.read_back)
    drawn = "what a text says" if card.by_text else f"one of {card.classes} classes, by number"
    licences = [f"{licence} ({part})" for part, licence in card.licences.items()]
    return Spec(
        draws=f"{drawn}, {card.side} px",
        licence=", ".join(licences) if card.by_text else card.licence,
        side=card.side,
        transformer=Weights(str(folder.resolve() / TRANSFORMER), bytes.fromhex(card.transformer)),
        codec=codec,
        reader=codec,
        pairs=str(folder.resolve() / PAIRS),
        build_model=partial(_model, card, folder.resolve(), codec, commercial=commercial),
        build_codec=partial(_codec, card, commercial=commercial),
        read_back=tuple(max(LEAST, one) for one in card.read_back) if scales > 1 else (1.0,),
        stride=card.stride,
        sampling=SAMPLING[Layout(card.layout)],
        labels=None if card.by_text else Numbered(card.classes),
    )


def checked(weights: Weights) -> dict[str, Tensor]:
    """The tensors of a file whose digest is right; raises BadWeights."""
    path = Path(weights.file)
    check_digest(path, weights.digest.hex())
    return read(path)


def checked_encoder(card: Card, folder: Path) -> Encoder | None:
    """The text encoder of a card, if it has one, once all its files are right; or BadWeights."""
    if not card.by_text:
        return None
    for name in FILES:
        check_digest(folder / ENCODER / name, card.encoder[name])
    return read_encoder(folder / ENCODER)


def check_digest(path: Path, digest: str) -> None:
    """Raise BadWeights unless a file has the SHA-256, in hex."""
    if digest_of(path).hex() != digest:
        raise BadWeights(f"{path} was altered: its SHA-256 is not the one on its card")


def digest_of(path: Path) -> bytes:
    """SHA-256, 32 bytes; raises BadWeights."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").digest()
    except OSError as e:
        raise BadWeights(f"{path}: {e.strerror}") from e


def build_codec(card: Card, tensors: Mapping[str, Tensor]) -> VQGANCodec | ResidualCodec:
    """The codec of official tensors; raises BadCheckpoint."""
    if card.layout == Layout.LLAMAGEN:
        return llamagen.load_codec(tensors, name=card.name)
    return var.load_codec(tensors, name=card.name, sides=sides_of(card))


def build_model(
    card: Card,
    tensors: Mapping[str, Tensor],
    codec: VQGANCodec | ResidualCodec,
    encoder: Encoder | None,
) -> LlamaGenModel | ScalesModel:
    """The model of official tensors, on the processor; raises BadCheckpoint and CannotHalve.

    A model by text needs the encoder that it was trained with, one by class has none.
    """
    if encoder is not None and not card.by_text:
        raise BadCheckpoint(f"{card.name} is asked by class: --text-encoder is not for it")
    if isinstance(codec, ResidualCodec):
        scales = var.load_transformer(tensors, name=card.name)
        return ScalesModel(scales, codec.quantize, Numbered(card.classes))
    transformer = llamagen.load_transformer(
        tensors, name=card.name, side=card.tokens, heads=card.heads
    )
    asking = (
        _by_text(card, transformer, encoder) if card.by_text else ByClass(Numbered(card.classes))
    )
    if PARTS[card.weights]:
        halve(transformer, 1 if PARTS[card.weights] == 1 else 2)
    return LlamaGenModel(transformer, asking)


def _by_text(card: Card, transformer: LlamaGenTransformer, encoder: Encoder | None) -> ByText:
    config = transformer.config
    if encoder is None:
        raise BadCheckpoint(
            f"{card.name} is asked by text: name the T5 encoder that it was trained with by "
            "--text-encoder, and its licence by --encoder-licence"
        )
    states = T5States(encoder, places=config.prefix)
    if states.width != config.caption_dim:
        raise BadCheckpoint(
            f"{card.name} was trained with text states of {config.caption_dim} numbers, and "
            f"{encoder.name} gives {states.width}: it is another encoder"
        )
    return ByText(states)


def sides_of(card: Card) -> tuple[int, ...]:
    """Of VAR's scales."""
    return PATCHES_256 if card.tokens == PATCHES_256[-1] else PATCHES_512


def _model(
    card: Card,
    folder: Path,
    codec: Weights,
    weights: Weights,
    device: torch.device,
    *,
    commercial: bool,
) -> DiscreteModel:
    if commercial:
        check_commercial(card)
    encoder = checked_encoder(card, folder)
    model = build_model(card, checked(weights), build_codec(card, checked(codec)), encoder)
    if device.type != "cpu":
        if PARTS[card.weights]:
            raise BadWeights(f"the weights of {card.name} are kept as halves: for processors only")
        model.transformer.to(device)
        if isinstance(model, ScalesModel):
            model.quantiser.to(device)
    return model


def _codec(
    card: Card, weights: Weights, _: Weights, device: torch.device, *, commercial: bool
) -> Codec:
    if commercial:
        check_commercial(card)
    return build_codec(card, checked(weights)).to(device)
