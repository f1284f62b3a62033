"""One picture's mark while it is sampled: a bias before each draw, a swap or a trade after it.

Fits the two hooks of the sampling loop. Only an active key marks. Every scale of a picture has
colours of its own; a model without scales samples at scale None, which is the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from provenance.watermark.errors import UnusableKey
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.lexical import LexicalBias
from provenance.watermark.scheme import Scheme
from provenance.watermark.swap import Bools, IndexSwap, Ints
from provenance.watermark.trade import Likeness, Trade


class Site(Protocol):
    """Where a step samples; of the places a mark can differ, the scale."""

    @property
    def scale(self) -> int | None: ...


@dataclass(frozen=True, eq=False)
class Swaps:
    """Who replaces whom (V,), the codes that never give way (V,), and how sure a draw may be."""

    partner: Ints
    never: Bools
    ratio: float | None


@dataclass(frozen=True, eq=False)
class Trades:
    """How alike codes look, and how many nats less likely what is kept may be than the draw."""

    likeness: Likeness
    allowance: float


class Mark:
    """Bias by `delta` (0: none, infinite: hard), then swap or trade, under one list of a key."""

    def __init__(
        self,
        scheme: Scheme,
        key: Key,
        list_index: int,
        *,
        delta: float,
        swaps: Swaps | Trades | None,
    ) -> None:
        if key.state is not KeyState.ACTIVE:
            raise UnusableKey(f"key {key.key_id} is {key.state} and marks no more")
        self.scheme = scheme
        self.key_id = key.key_id
        self.list_index = list_index
        greens = [scheme.green(key, list_index, scale) for scale in range(scheme.scales)]
        self._biases = [LexicalBias(green, delta) for green in greens]
        self._swaps: Sequence[IndexSwap | Trade] = ()
        match swaps:
            case Swaps(partner, never, ratio):
                self._swaps = [IndexSwap(partner, green, never, ratio) for green in greens]
            case Trades(likeness, allowance):
                self._swaps = [Trade(green, likeness, allowance) for green in greens]

    def favour(self, site: Site, logits: Tensor) -> Tensor:  # (n, V) -> (n, V)
        """Logits with green codes raised."""
        return self._biases[site.scale or 0].favour(logits)

    def swap(self, site: Site, tokens: Tensor, logits: Tensor) -> Tensor:
        """Tokens (n,) with red ones replaced where allowed, given the biased logits (n, V)."""
        if not self._swaps:
            return tokens
        return self._swaps[site.scale or 0].swap(tokens, logits)
