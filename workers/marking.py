"""How the marks of provenance meet the generators: schemes, and the hooks a sampler calls."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from generators.catalog import WEIGHTS, Spec, find, load_codec
from generators.interface import Codec
from provenance.image import Pixels
from provenance.watermark import matching
from provenance.watermark.colouring import Colouring, independent, pairs
from provenance.watermark.detect import Bank, GatedBank
from provenance.watermark.geometry import STRIDE
from provenance.watermark.keys import Key, list_for
from provenance.watermark.mark import Mark, Swaps, Trades
from provenance.watermark.payload import Payload
from provenance.watermark.scheme import Scheme
from provenance.watermark.search import Plan, Search
from provenance.watermark.trade import Likeness

UPLOADS = "posthoc/2"  # the scheme of pictures marked after they were made
NUMBER_BITS = 40  # of a record's number: drawn at random, a million rarely hold one twice
LISTS = 8  # a pool: what is learnt from one picture helps with one in eight


class Kind(StrEnum):
    """How a picture is marked while it is sampled."""

    TRADE = "trade"
    LEXICAL = "lexical"
    SWAP = "swap"
    BOTH = "both"


class Marker:
    """The marks of one generator: its codec, its pairs of codes, and its schemes."""

    def __init__(self, name: str, spec: Spec, codec: Codec) -> None:
        self.name = name
        self.spec = spec
        self.codec = codec

    @cached_property
    def _pairs(self) -> matching.Matching:
        return matching.load(WEIGHTS / self.spec.pairs, self.spec.codec.digest)

    @cached_property
    def _swaps(self) -> Swaps:
        """Every red code gives way, however unlikely its partner."""
        return Swaps(self._pairs.partner, np.zeros(self.codec.codes.size, bool), ratio=None)

    @cached_property
    def _likeness(self) -> Likeness:
        return Likeness(self.codec.codes.vectors.cpu())

    @cached_property
    def _singles(self) -> Colouring:
        """Shared, so that a view is weighed once for all schemes that colour so."""
        return independent(self.codec.codes.size)

    @cached_property
    def _schemes(self) -> dict[Kind, Scheme]:
        digest = self.spec.codec.digest
        scales = len(self.spec.read_back)
        worth = self.spec.read_back if scales > 1 else ()
        lexical = Scheme("lexical/1", self.name, digest, self._singles, LISTS, scales, worth=worth)
        paired = Scheme(
            "pairs/1", self.name, digest, pairs(self._pairs.partner), LISTS, scales, worth=worth
        )
        return {
            Kind.TRADE: lexical,
            Kind.LEXICAL: lexical,
            Kind.SWAP: paired,
            Kind.BOTH: paired,
        }

    @cached_property
    def posthoc(self) -> Payload:
        """The scheme of pictures marked after they were made, and the numbers that it carries.

        Colours and name of their own: whoever has uploads marked sees both sides and may learn
        these colours; that says nothing about the colours of drawings. And an upload is never taken
        for a drawing. With its numbers that doubles the trials: 0.3 digits of every p.
        """
        digest = self.spec.codec.digest
        return Payload(Scheme(UPLOADS, self.name, digest, self._singles, LISTS), NUMBER_BITS)

    def scheme(self, kind: Kind) -> Scheme:
        """What a kind of mark is detected under."""
        return self._schemes[kind]

    def watermark(self, kind: Kind, key: Key, request_id: str, *, delta: float) -> Mark:
        """The hooks for one request; `delta` in nats is a bias, or what a trade may cost."""
        scheme = self._schemes[kind]
        index = list_for(key, request_id, scheme.lists)
        swaps: Swaps | Trades | None = None
        if kind is Kind.TRADE:
            swaps = Trades(self._likeness, delta)
        elif kind is not Kind.LEXICAL:
            swaps = self._swaps
        bias = delta if kind in (Kind.LEXICAL, Kind.BOTH) else 0.0
        return Mark(scheme, key, index, delta=bias, swaps=swaps)

    def banks(self, keys: Sequence[Key]) -> list[Bank]:
        """What detection searches: the schemes of drawings and that of uploads, these keys.

        A model of several scales marks no uploads.
        """
        drawings = [Bank(scheme, keys) for scheme in dict.fromkeys(self._schemes.values())]
        if len(self.spec.read_back) > 1:
            return drawings
        uploads = Bank(self.posthoc.scheme, keys, payload=self.posthoc)
        return [*drawings, uploads, GatedBank(uploads)]

    def search(self, pixels: Pixels, plan: Plan) -> Search:
        """The picture's views; at the generator's own size first.

        Of a codec with another pitch than 8 px the picture is read as it lies, and not moved.
        """
        if self.spec.stride != STRIDE:
            plan = replace(plan, looks=min(plan.looks, 2), ladder=None)
        native = (self.spec.side, self.spec.side)
        return Search(self.codec, self.spec.codec.digest, pixels, plan, native=native)


def load_marker(name: str) -> Marker:
    """The marker of a generator, with its codec alone: all that verifying needs."""
    return Marker(name, find(name), load_codec(name))


def request_id(model: str, prompt: str, seed: int) -> str:
    """The same wish gives the same id, and so the same list and the same picture."""
    parts = b"".join(len(p).to_bytes(8, "big") + p for p in (model.encode(), prompt.encode()))
    return hashlib.sha256(parts + seed.to_bytes(8, "big")).hexdigest()
