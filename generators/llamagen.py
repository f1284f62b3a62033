"""LlamaGen's models as they are drawn with, by class and by text: prompts become prefixes.

Requests may join while others are under way (`seats`); their tokens are the same alone, in a batch
and joined late, to the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from generators.gpt import Conditions
from generators.gpt import LlamaGenConfig as LlamaGenConfig  # for who loads weights
from generators.gpt import LlamaGenTransformer as LlamaGenTransformer
from generators.interface import Layout, Prompt
from generators.scales import Labels
from generators.seats import Batch, LlamaGenSeats
from generators.stepping import Stepping, check_stepping, prepare


class Asking(Protocol):
    """How prompts become prefixes."""

    def __call__(self, transformer: LlamaGenTransformer, texts: Sequence[str]) -> Conditions: ...


@dataclass(frozen=True)
class ByClass:
    """A prompt names a class."""

    labels: Labels

    def __call__(self, transformer: LlamaGenTransformer, texts: Sequence[str]) -> Conditions:
        device = transformer.tok_embeddings.weight.device
        classes = torch.tensor([self.labels(text) for text in texts], dtype=torch.int64)
        return Conditions(transformer.cls_embedding(classes.to(device)), None)


class TextStates(Protocol):
    """A text encoder, with T5 for LlamaGen: states (N, P, C) and which places are text (N, P)."""

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class ByText:
    """A prompt is read by a text encoder; padding is moved before the text and masked."""

    encode: TextStates

    def __call__(self, transformer: LlamaGenTransformer, texts: Sequence[str]) -> Conditions:
        states, valid = self.encode(texts)
        order = valid.int().argsort(dim=1, stable=True)  # padding first, text in its order
        states = states.gather(1, order[..., None].expand_as(states))
        valid = valid.gather(1, order)
        device = transformer.tok_embeddings.weight.device
        states = (states * valid[..., None]).to(device)
        return Conditions(transformer.cls_embedding(states), valid.to(device))


class LlamaGenModel:
    """A transformer with what reads its prompts, ready to draw."""

    def __init__(
        self,
        transformer: LlamaGenTransformer,
        asking: Asking,
        stepping: Stepping = Stepping.PLAIN,
    ) -> None:
        self.transformer = transformer.eval()
        self.asking = asking
        self.layout = Layout(transformer.config.side, transformer.config.side)
        self.use(stepping)

    def use(self, stepping: Stepping) -> None:
        """Take steps this way from now on; raises CannotStep."""
        check_stepping(self.transformer, stepping)
        self.stepping, self._prepare = stepping, prepare(stepping)

    def open(self, prompts: Sequence[Prompt]) -> Batch:
        """Start a batch; raises Unsupported for phrases that are to be taken out of a prompt."""
        rows = sum(2 + len(prompt.against) for prompt in prompts)
        return Batch(self.seats(rows), prompts)

    def seats(self, rows: int) -> LlamaGenSeats:
        """Room for so many rows: two a request, and one more a branch against; raises CannotStep.

        The cache of all of them is allocated here.
        """
        check_stepping(self.transformer, self.stepping)
        return LlamaGenSeats(
            self.transformer,
            lambda texts: self.asking(self.transformer, texts),
            rows,
            self._prepare,
        )
