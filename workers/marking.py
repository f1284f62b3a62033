"""How the marks of provenance meet the generators: schemes, and the hooks a sampler calls."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Protocol

import numpy as np

from generators.catalog import (
    DAMAGED,
    EMBEDDED,
    GENERATORS,
    WEIGHTS,
    BadWeights,
    Spec,
    find,
    load_codec,
)
from generators.interface import Codec
from provenance.image import Pixels
from provenance.watermark import matching
from provenance.watermark.colouring import Colouring, independent, pairs
from provenance.watermark.detect import Bank, GatedBank
from provenance.watermark.keys import Key, list_for
from provenance.watermark.mark import Mark, Swaps, Trades
from provenance.watermark.payload import Payload
from provenance.watermark.scheme import Lens, Scheme
from provenance.watermark.search import LARGEST, Plan, Search, Searches
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
        """What detection searches: the schemes of drawings and that of uploads, these keys."""
        drawings = [Bank(scheme, keys) for scheme in dict.fromkeys(self._schemes.values())]
        if not self.spec.uploads:
            return drawings
        uploads = Bank(self.posthoc.scheme, keys, payload=self.posthoc)
        return [*drawings, uploads, GatedBank(uploads)]

    def search(self, pixels: Pixels, plan: Plan) -> Search:
        """The picture's views; at the generator's own size first."""
        return _search([self], pixels, plan)


class Marks(Protocol):
    """What is looked for in a picture: the marks of one generator, or of several."""

    def banks(self, keys: Sequence[Key]) -> list[Bank]:
        """The schemes that are searched for marks of these keys."""

    def search(self, pixels: Pixels, plan: Plan) -> Search | Searches:
        """The picture's views."""


class Markers:
    """The marks of several generators, by name: looked for at once, and paid for together.

    `left_out` says of generators that were brought and cannot be loaded why their marks are not
    looked for.
    """

    def __init__(
        self, markers: Sequence[Marker], *, left_out: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.by_name = {marker.name: marker for marker in markers}
        self.left_out = dict(left_out)

    def banks(self, keys: Sequence[Key]) -> list[Bank]:
        """The schemes of all."""
        return [bank for marker in self.by_name.values() for bank in marker.banks(keys)]

    def search(self, pixels: Pixels, plan: Plan) -> Searches:
        """The views of all; generators whose tokens lie on the same grid share geometries."""
        alike: dict[object, list[Marker]] = {}
        for marker in self.by_name.values():
            spec = marker.spec
            grid = spec.codec.digest, spec.reader.digest, spec.side
            alike.setdefault(grid, []).append(marker)
        return Searches([_search(some, pixels, plan) for some in alike.values()])


def _search(alike: Sequence[Marker], pixels: Pixels, plan: Plan) -> Search:
    """The views of generators whose tokens lie on the same grid, found by the first's codec.

    A codec that cannot tell where its grid lies reads the picture as it lies: at the generator's
    size, and as much of it at its own.
    """
    first, side = alike[0], alike[0].spec.side
    largest = LARGEST
    if not first.spec.finds:
        plan, largest = replace(plan, looks=min(plan.looks, 2), ladder=None), side
    readers = {Lens(one.spec.codec.digest, len(one.spec.read_back)): one.codec for one in alike}
    return Search(readers, pixels, plan, native=(side, side), largest=largest)


def load_marker(name: str) -> Marker:
    """The marker of a generator, with its codec alone: all that verifying needs."""
    return Marker(name, find(name), load_codec(name))


def load_markers() -> Markers:
    """The markers of every generator in the catalog.

    One that was brought and is damaged, or may not be used, is left out and named; raises
    BadWeights for one that comes with this package.
    """
    markers, left_out = list[Marker](), dict(DAMAGED)
    for name in GENERATORS:
        if name in left_out:
            continue
        try:
            markers.append(load_marker(name))
        except BadWeights as e:
            if name in EMBEDDED:
                raise
            left_out[name] = str(e)
    return Markers(markers, left_out=left_out)


def request_id(model: str, prompt: str, seed: int) -> str:
    """The same wish gives the same id, and so the same list and the same picture."""
    parts = b"".join(len(p).to_bytes(8, "big") + p for p in (model.encode(), prompt.encode()))
    return hashlib.sha256(parts + seed.to_bytes(8, "big")).hexdigest()
