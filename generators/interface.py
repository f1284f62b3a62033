"""What every token generator and codec looks like to the sampling loop.

A model is opened for a batch of prompts and then alternates `propose` (where to sample next, and
the logits of every branch there) with `commit` (the tokens chosen). A site may hold one position
(raster order), a whole scale, or any set of positions, so that further families fit the same loop.
Letters: B requests, K further branches of all requests, n positions of a site, V codes, d code
dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, runtime_checkable

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
    """The token grid of a picture, read row by row, and those of coarser scales, if it has any.

    With several scales, the tokens of a picture are one row, coarse to fine.
    """

    height: int
    width: int
    coarser: tuple[tuple[int, int], ...] = ()

    @property
    def tokens(self) -> int:
        return self.height * self.width + sum(height * width for height, width in self.coarser)

    @property
    def scales(self) -> int:
        return 1 + len(self.coarser)


@dataclass(frozen=True)
class Site:
    """Where a step samples: flat positions (n,) of a stream, and the scale if it has several.

    Positions are (B, n) where each request has its own. `noise` is set where tokens are drawn for
    the time being: by how many Gumbel numbers the order of what stays is shaken (see Provisional).
    `guided` is how much of the guidance beyond 1 holds here: VAR guides fine scales more than
    coarse ones.
    """

    stream: str
    step: int
    steps: int
    scale: int | None
    positions: Tensor
    guided: float = 1.0
    noise: float | None = None

    def guidance(self, asked: float) -> float:
        """The guidance that holds here of what was asked for."""
        return asked if self.guided == 1 else 1 + self.guided * (asked - 1)


@dataclass(frozen=True)
class Prompt:
    """What a picture is asked for, what is taken out of that, and what it is drawn away from.

    `without` are phrases whose directions are projected out of the prompt's states; every text of
    `against` is a further branch over the same tokens. A model that can do neither raises
    `Unsupported`; it never leaves them out.
    """

    text: str
    without: tuple[str, ...] = ()
    against: tuple[str, ...] = ()


class Unsupported(ValueError):
    """What a generator cannot do with a prompt; the text says which generator and what."""


class CannotAsk(ValueError):
    """A prompt that a generator cannot be asked by; the text says what it should be."""


class Proposal(NamedTuple):
    """A site and the logits there, of every branch.

    (2, B, n, V) with the prompts first and without them second; and (K, n, V) with the branches
    that prompts are drawn against: those of the first request, then of the next.
    """

    site: Site
    logits: Tensor
    against: Tensor


class Run(Protocol):
    """One batch being drawn."""

    def propose(self) -> Proposal | None:
        """The next site, or None when every position has its token."""

    def commit(self, drawn: Tensor, kept: Tensor) -> None:
        """Fix the tokens (B, n) of the site proposed last: as drawn, and as a mark swapped them.

        A residual family goes on from what was kept, so that later scales absorb the swap; a
        raster goes on from what was drawn, which its model knows how to continue.
        """

    def tokens(self) -> Tensor:
        """The tokens kept: (B, h, w), or (B, T) of several scales."""


@runtime_checkable
class Provisional(Run, Protocol):
    """A batch whose tokens are not final when they are committed: masked models draw them anew."""

    def settle(self, sure: Tensor) -> None:
        """Keep the surest of the tokens just committed, (B, n): their log-probability where the
        mark had favoured them, and noise.
        """


class DiscreteModel(Protocol):
    """A generator that draws pictures as tokens."""

    layout: Layout

    def open(self, prompts: Sequence[Prompt]) -> Run:
        """Start a batch, one prompt a request; raises Unsupported and CannotAsk."""


class Full(RuntimeError):
    """More requests than there is room for; the text says how much is free."""


class Proposals(NamedTuple):
    """Where each request under way samples next, and the logits (rows, n, V) of all of them.

    A request's rows follow each other: with its prompt, without it, and of every branch against.
    """

    sites: Sequence[Site]
    logits: Tensor


class Seats(Protocol):
    """Requests under way, each at a step of its own, in the order in which they joined."""

    def join(self, prompts: Sequence[Prompt]) -> None:
        """Further requests, after those under way; raises Full and Unsupported, and then none."""

    def propose(self) -> Proposals:
        """The next site of every request; one that has all its tokens must have left."""

    def commit(self, drawn: Tensor, kept: Tensor) -> None:
        """Fix the tokens (B, n) of the sites proposed last, as `Run.commit` does."""

    def tokens(self) -> Tensor:
        """The tokens kept, (B, h, w); 0 where none is chosen yet."""

    def leave(self, numbers: Sequence[int]) -> None:
        """Requests, counted from 0 in the order they joined, that are under way no more."""


@runtime_checkable
class Joinable(DiscreteModel, Protocol):
    """A generator whose pictures need not begin together."""

    def seats(self, rows: int) -> Seats:
        """Room for so many rows: two a request, and one more a branch against."""


class Reading(NamedTuple):
    """Tokens read from pixels, and by how much (cosine or distance) the best code won.

    Of several scales these are the finest tokens, and `coarser` holds the others, coarse to fine;
    a scale whose grid does not fit the picture is read as no tokens (B, 0, 0).
    """

    tokens: Tensor  # (B, h, w) int64
    margin: Tensor  # (B, h, w) float32, >= 0
    coarser: tuple[Reading, ...] = ()


class Codec(Protocol):
    """Tokens to pixels and back; pixels are float32 (B, 3, H, W) in [0, 1].

    Tokens are (B, h, w), or one row (B, T) of several scales, coarse to fine.
    """

    @property
    def codes(self) -> Codebook:
        """The codebook all tokens refer to."""

    def encode(self, pixels: Tensor) -> Tensor:
        """The tokens that describe any picture best."""

    def read(self, pixels: Tensor) -> Reading:
        """The tokens that a picture of this codec was decoded from, as well as they can be told."""

    def find(self, pixels: Tensor) -> Tensor:
        """Log-probabilities (B, 64) that the grid of tokens starts at 8 top + left px."""

    def decode(self, tokens: Tensor) -> Tensor:
        """The pixels of tokens."""
