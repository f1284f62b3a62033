"""How the marks of provenance meet the generators: schemes, and the hooks a sampler calls."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from generators.catalog import WEIGHTS, Spec, find, load_codec
from generators.interface import Codec, Site
from provenance.image import Pixels
from provenance.watermark import matching
from provenance.watermark.colouring import independent, pairs
from provenance.watermark.detect import Bank, View
from provenance.watermark.keys import Key, list_for
from provenance.watermark.lexical import LexicalBias
from provenance.watermark.scheme import Scheme
from provenance.watermark.swap import IndexSwap

LISTS = 8  # a pool: what is learnt from one picture helps with one in eight


class Mark(StrEnum):
    """How a picture is marked while it is sampled."""

    LEXICAL = "lexical"
    SWAP = "swap"
    BOTH = "both"


class TokenMark:
    """One request's mark: a lexical bias, an index swap, or both."""

    def __init__(self, bias: LexicalBias | None, swap: IndexSwap | None) -> None:
        self._bias = bias
        self._swap = swap

    def favour(self, site: Site, logits: Tensor) -> Tensor:
        return self._bias.favour(logits) if self._bias else logits

    def swap(self, site: Site, tokens: Tensor, probabilities: Tensor) -> Tensor:
        return self._swap.swap(tokens, probabilities) if self._swap else tokens


@dataclass(frozen=True)
class Read:
    """Tokens (h, w) and margins (h, w) of one picture, as detection wants them."""

    tokens: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    margin: np.ndarray[tuple[int, ...], np.dtype[np.float32]]


class Marker:
    """The marks of one generator: its codec, its pairs of codes, and its two schemes."""

    def __init__(self, name: str, spec: Spec, codec: Codec) -> None:
        self.name = name
        self.spec = spec
        self.codec = codec

    @cached_property
    def _pairs(self) -> matching.Matching:
        return matching.load(WEIGHTS / self.spec.pairs, self.spec.codec.digest)

    @cached_property
    def _schemes(self) -> dict[Mark, Scheme]:
        digest, codes = self.spec.codec.digest, self.codec.codes.size
        lexical = Scheme("lexical/1", self.name, digest, independent(codes), LISTS)
        paired = Scheme("pairs/1", self.name, digest, pairs(self._pairs.partner), LISTS)
        return {Mark.LEXICAL: lexical, Mark.SWAP: paired, Mark.BOTH: paired}

    def watermark(self, mark: Mark, key: Key, request_id: str, *, delta: float) -> TokenMark:
        """The hooks for one request; `delta` is the lexical bias in nats, unused by a pure swap."""
        scheme = self._schemes[mark]
        green = scheme.green(key, list_for(key, request_id, scheme.lists))
        bias = None if mark is Mark.SWAP else LexicalBias(green, delta)
        never = np.zeros(len(green), bool)
        swap = (
            None
            if mark is Mark.LEXICAL
            else IndexSwap(self._pairs.partner, green, never, ratio=None)
        )
        return TokenMark(bias, swap)

    def banks(self, keys: Sequence[Key]) -> list[Bank]:
        """What detection searches: both schemes under these keys."""
        return [Bank(scheme, keys) for scheme in dict.fromkeys(self._schemes.values())]

    def view(self, pixels: Pixels) -> View:
        """The picture read at the generator's own size."""
        batch = torch.from_numpy(pixels)[None]
        side = self.spec.side
        geometry = "as it is"
        if batch.shape[-2:] != (side, side):
            geometry = f"resized to {side} px"
            batch = torch.nn.functional.interpolate(
                batch, size=(side, side), mode="bicubic", antialias=True
            ).clamp(0, 1)
        reading = self.codec.read(batch)
        read = Read(reading.tokens[0].cpu().numpy(), reading.margin[0].cpu().numpy())
        return View(self.spec.codec.digest, geometry, (read,))


def load_marker(name: str) -> Marker:
    """The marker of a generator, with its codec alone: all that verifying needs."""
    return Marker(name, find(name), load_codec(name))


def request_id(model: str, prompt: str, seed: int) -> str:
    """The same wish gives the same id, and so the same list and the same picture."""
    parts = b"".join(len(p).to_bytes(8, "big") + p for p in (model.encode(), prompt.encode()))
    return hashlib.sha256(parts + seed.to_bytes(8, "big")).hexdigest()
