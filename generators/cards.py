"""The card of a generator that was brought: what is known of it, and which files are its own.

It says whose layout the weights have, what was measured of them, under which licence they are, and
the SHA-256 of every file that is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from generators import t5
from generators.catalog import BadWeights
from generators.checkpoints import janus
from generators.checkpoints.layouts import Layout

FORM = "countermark-model/3"
FORMS = (FORM, "countermark-model/2", "countermark-model/1")  # the first form knew no text
CARD = "card.json"
TRANSFORMER, CODEC, PAIRS = "transformer.safetensors", "codec.safetensors", "pairs.safetensors"
ENCODER = "encoder"  # the folder of a text encoder, beside them
# Licences (SPDX) under which pictures may be sold. All others, and those not known, do not count.
COMMERCIAL = ("Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0")
PARTS = {"single": 0, "two-halves": 2, "half": 1}  # halves that weights are kept in
Kept = t5.Encoder | janus.JanusFiles  # what lies beside the weights, read


class Prompts(StrEnum):
    """What a prompt is to a generator."""

    CLASSES = "classes"  # the number of one
    TEXT = "text"


@dataclass(frozen=True)
class Beside:
    """Files that lie beside the weights in a folder of their own, and what reads them."""

    folder: str
    files: tuple[str, ...]
    read: Callable[[Path], Kept]
    codec: bool  # whether the codec is built with them, or the model alone

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, from the model's folder on."""
        return tuple(f"{self.folder}/{name}" for name in self.files)


# What layouts are asked for, and what each needs for it.
BESIDE: dict[tuple[str, str], Beside | None] = {
    (Layout.LLAMAGEN, Prompts.CLASSES): None,
    (Layout.LLAMAGEN, Prompts.TEXT): Beside(ENCODER, t5.FILES, t5.read_encoder, codec=False),
    (Layout.VAR, Prompts.CLASSES): None,
    (Layout.JANUS, Prompts.TEXT): Beside("janus", janus.FILES, janus.read_files, codec=True),
}


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
    beside: dict[str, str] = field(default_factory=dict)  # the other files, from the folder on
    encoder_licence: str = ""  # SPDX, or what it says there
    form: str = FORM

    @property
    def side(self) -> int:
        """px."""
        return self.tokens * self.stride

    @property
    def by_text(self) -> bool:
        """Whether its prompts are texts."""
        return self.prompts == Prompts.TEXT

    @property
    def needs(self) -> Beside | None:
        """What lies beside its weights."""
        return BESIDE[self.layout, self.prompts]

    @property
    def encoded(self) -> bool:
        """Whether a text encoder with a licence of its own reads its prompts."""
        return self.needs is not None and self.needs.folder == ENCODER

    @property
    def licences(self) -> dict[str, str]:
        """Of each part that has one of its own."""
        weights = {"weights": self.licence}
        return weights | {"text encoder": self.encoder_licence} if self.encoded else weights

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
        card = Card(**{**_renamed(told), "read_back": tuple(told["read_back"])})
        beside = set(dict(card.beside))
    except OSError as e:
        raise BadWeights(f"{path}: {e.strerror}") from e
    except (ValueError, KeyError, TypeError) as e:
        raise BadWeights(f"{path} is no card of a model: {e}") from e
    if (card.layout, card.prompts) not in BESIDE or card.weights not in PARTS:
        raise BadWeights(f"{path} names a layout, prompts or weights that are not known")
    if beside != set(card.needs.paths if card.needs else ()):
        raise BadWeights(f"{path} does not name the files that lie beside its weights")
    if card.name != folder.name:
        raise BadWeights(f"{path} is the card of {card.name!r}, and its folder is not called so")
    return card


def _renamed(told: dict[str, Any]) -> dict[str, Any]:
    """What a card tells in the words of the present form; the second named a text encoder alone."""
    if told["form"] == FORM:
        return told
    files = dict(told.get("encoder", {}))
    beside = {f"{ENCODER}/{name}": digest for name, digest in files.items()}
    return {key: one for key, one in told.items() if key != "encoder"} | {"beside": beside}


def check_commercial(card: Card) -> None:
    """Raise NotCommercial unless every licence is known to allow commercial use."""
    for part, licence in card.licences.items():
        if licence not in COMMERCIAL:
            raise NotCommercial(
                f"{card.name} has its {part} under {licence!r}, which is not known to allow "
                "commercial use, and this installation is declared to be for it"
            )
