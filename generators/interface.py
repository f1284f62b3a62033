"""What every token generator and codec looks like to the sampling loop.

A model is opened for a batch of prompts and then alternates `propose` (where to sample next, and
the logits of every branch there) with `commit` (the tokens chosen). A site may hold one position
(raster order), a whole scale, or any set of positions, so that further families fit the same loop.
Letters: R branches, B requests, n positions of a site, V codes, d code dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from torch import Tensor


@dataclass(frozen=True)
class Codebook:
    """The codes of one stream; `cosine` means that both sides are normalised before comparing."""

    vectors: Tensor  # (V, d)
    metric: Literal["cosine", "l2"]

    @property
    def size(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True)
class Layout:
    """The token grid of a picture, read row by row."""

    height: int
    width: int

    @property
    def tokens(self) -> int:
        return self.height * self.width


@dataclass(frozen=True)
class Site:
    """Where a step samples: flat positions (n,) of a stream, and the scale if it has several."""

    stream: str
    step: int
    steps: int
    scale: int | None
    positions: Tensor


class Proposal(NamedTuple):
    """A site and the logits there: (2, B, n, V), with the prompt first, without it second."""

    site: Site
    logits: Tensor


class Run(Protocol):
    """One batch being drawn."""

    def propose(self) -> Proposal | None:
        """The next site, or None when every position has its token."""

    def commit(self, tokens: Tensor) -> None:
        """Fix the tokens (B, n) of the site proposed last."""

    def tokens(self) -> Tensor:
        """All tokens, (B, h, w)."""


class DiscreteModel(Protocol):
    """A generator that draws pictures as tokens."""

    layout: Layout

    def open(self, prompts: Sequence[str]) -> Run:
        """Start a batch, one prompt a row."""


class Reading(NamedTuple):
    """Tokens read from pixels, and by how much (cosine or distance) the best code won."""

    tokens: Tensor  # (B, h, w) int64
    margin: Tensor  # (B, h, w) float32, >= 0


class Codec(Protocol):
    """Tokens to pixels and back; pixels are float32 (B, 3, H, W) in [0, 1]."""

    @property
    def codes(self) -> Codebook:
        """The codebook all tokens refer to."""

    def encode(self, pixels: Tensor) -> Tensor:
        """The tokens (B, h, w) that describe any picture best."""

    def read(self, pixels: Tensor) -> Reading:
        """The tokens that a picture of this codec was decoded from, as well as they can be told."""

    def find(self, pixels: Tensor) -> Tensor:
        """Log-probabilities (B, 64) that the grid of tokens starts at 8 top + left px."""

    def decode(self, tokens: Tensor) -> Tensor:
        """The pixels of tokens (B, h, w)."""
