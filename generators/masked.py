"""Drawing with masked models (MaskGIT, arXiv 2202.04200; aMUSEd, arXiv 2401.01808).

Every step draws all tokens that are still masked, keeps the surest, and masks the others again; how
many stay masked falls by a cosine. The loop draws from logits that the mark has favoured, and asks
by the same logits how sure a token is, so what the mark favours is kept sooner. A traded mark
counts the tokens that were masked again as well, and so trades a little less than it could.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from generators.interface import Layout, Prompt, Proposal, Site, Unsupported


class Told(NamedTuple):
    """What a text encoder says of prompts: vectors (N, D), and states (N, L, C)."""

    pooled: Tensor
    states: Tensor

    def rows(self, index: Tensor) -> Told:
        return Told(self.pooled[index], self.states[index])


class MaskedNetwork(Protocol):
    """A network that fills in masked tokens."""

    layout: Layout
    mask: int  # the token that stands for none

    def tell(self, texts: Sequence[str]) -> Told:
        """What prompts say; the empty text is no prompt."""

    def logits(self, tokens: Tensor, told: Told) -> Tensor:
        """Logits (N, T, V) of all tokens (N, h, w) of grids."""


class MaskedModel:
    """A network and how many steps it takes, ready to draw.

    `noise` shakes the order in which tokens are kept, at the first step and at the last.
    """

    def __init__(
        self, network: MaskedNetwork, *, steps: int = 12, noise: tuple[float, float] = (2.0, 0.0)
    ) -> None:
        if steps < 1:
            raise ValueError(f"a picture takes at least one step, not {steps}")
        self.network, self.steps, self.noise = network, steps, noise
        self.layout = network.layout

    def open(self, prompts: Sequence[Prompt]) -> MaskedRun:
        """Start a batch; raises Unsupported for phrases that are to be taken out of a prompt."""
        if any(prompt.without for prompt in prompts):
            raise Unsupported("phrases cannot be projected out of a masked model's prompt")
        texts = [prompt.text for prompt in prompts] + [""] * len(prompts)
        texts += [text for prompt in prompts for text in prompt.against]
        owners = [row for row, prompt in enumerate(prompts) for _ in prompt.against]
        with torch.inference_mode():
            return MaskedRun(self, self.network.tell(texts), len(prompts), owners)


class MaskedRun:
    """One batch being drawn: prompts, as many rows without, and the branches against."""

    def __init__(self, model: MaskedModel, told: Told, count: int, owners: Sequence[int]) -> None:
        self._model, self._told, self._requests = model, told, count
        device = told.pooled.device
        self._owner = torch.tensor([*range(count), *range(count), *owners], device=device)
        layout = model.network.layout
        shape = (count, layout.tokens)
        self._tokens = torch.full(shape, model.network.mask, dtype=torch.int64, device=device)
        self._open = torch.arange(layout.tokens, device=device).expand(shape)
        self._step = 0

    def propose(self) -> Proposal | None:
        model, step, both = self._model, self._step, 2 * self._requests
        if step == model.steps:
            return None
        layout = model.network.layout
        grids = self._tokens[self._owner].reshape(-1, layout.height, layout.width)
        logits = model.network.logits(grids, self._told).float()
        at = self._open[self._owner][..., None].expand(-1, -1, logits.shape[-1])
        logits = logits.gather(1, at)
        share = step / (model.steps - 1) if model.steps > 1 else 0.0
        noise = model.noise[0] + share * (model.noise[1] - model.noise[0])
        site = Site("image", step, model.steps, None, self._open, noise=noise)
        return Proposal(site, logits[:both].reshape(2, -1, *logits.shape[1:]), logits[both:])

    def commit(self, drawn: Tensor, kept: Tensor) -> None:
        """Fill in what is kept at every masked position, for the time being."""
        self._tokens = self._tokens.scatter(1, self._open, kept.to(self._tokens.device))

    def settle(self, sure: Tensor) -> None:
        """Mask the least sure again, as many as the cosine says, and at least one until the end."""
        self._step += 1
        steps, tokens = self._model.steps, self._tokens.shape[1]
        if self._step == steps:
            self._open = self._open[:, :0]
            return
        wanted = math.floor(tokens * math.cos(self._step / steps * math.pi / 2))
        again = max(1, min(wanted, self._open.shape[1] - 1))
        least = sure.to(self._open.device).argsort(dim=1, stable=True)[:, :again]
        self._open = self._open.gather(1, least.sort(1).values)
        mask = torch.full_like(self._open, self._model.network.mask)
        self._tokens = self._tokens.scatter(1, self._open, mask)

    def tokens(self) -> Tensor:
        """The tokens kept, (B, h, w); 0 where none is chosen yet."""
        layout = self._model.network.layout
        known = self._tokens.where(self._tokens != self._model.network.mask, 0)
        return known.reshape(-1, layout.height, layout.width)
