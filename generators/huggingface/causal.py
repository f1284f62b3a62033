"""Drawing with causal language models whose tokens are a picture's, over the library's own cache.

Prompts of a batch are padded before the text and masked, as the library's `generate` does, so a
request's logits depend on its batch mates in their last digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from generators.interface import Layout, Prompt, Proposal, Site, Unsupported


class Begun(NamedTuple):
    """Token ids of prompts (N, P) up to where the picture begins, and which count (N, P)."""

    ids: Tensor
    valid: Tensor

    def rows(self, index: Tensor) -> Begun:
        return Begun(self.ids[index], self.valid[index])

    def padded(self, length: int) -> Begun:
        """The same, `length` places long; what is put before does not count."""
        more = (length - self.ids.shape[1], 0)
        return Begun(F.pad(self.ids, more), F.pad(self.valid, more, value=False))


class Network(Protocol):
    """A causal model of `transformers`, as the run sees it."""

    layout: Layout

    def begin(self, texts: Sequence[str]) -> Begun:
        """Prompts with their pictures begun; raises CannotAsk."""

    def bare(self, begun: Begun) -> Begun:
        """The same rows without a prompt."""

    def read(self, ids: Tensor) -> Tensor:
        """What the ids (N, P) of prompts are to the network, (N, P, D)."""

    def feed(self, tokens: Tensor, done: int) -> Tensor:
        """What the `done`-th token (N,) of a picture is, and all that must follow it: (N, k, D)."""

    def logits(self, inputs: Tensor, valid: Tensor, places: Tensor, cache: Cache) -> Tensor:
        """Logits (N, V) of a picture's next token, after inputs (N, k, D) at places (N, k)."""


class Room(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer's keys and values, for so many places: a step writes into it and copies nothing."""

    def __init__(self, places: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._places = places
        self._kept: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """All keys and values (B, heads, T, d) up to now, after further ones (B, heads, k, d)."""
        if self._kept is None:
            self._kept = self._empty(key_states), self._empty(value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        for kept, new in zip(self._kept, (key_states, value_states), strict=True):
            kept[:, :, start:end] = new
        keys, values = (kept[:, :, :end] for kept in self._kept)
        self.keys, self.values, self.is_initialized = keys, values, True
        return keys, values

    def _empty(self, like: Tensor) -> Tensor:
        return like.new_zeros(*like.shape[:2], self._places, like.shape[3])


class CausalModel:
    """A network, ready to draw."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.layout = network.layout

    def open(self, prompts: Sequence[Prompt]) -> CausalRun:
        """Start a batch; raises Unsupported for phrases that are to be taken out of a prompt."""
        if any(prompt.without for prompt in prompts):
            raise Unsupported("phrases cannot be projected out of a language model's prompt")
        owners = [row for row, prompt in enumerate(prompts) for _ in prompt.against]
        texts = [prompt.text for prompt in prompts]
        texts += [text for prompt in prompts for text in prompt.against]
        with torch.inference_mode():
            return CausalRun(self.network, self.network.begin(texts), owners)


class CausalRun:
    """One batch being drawn: prompts, as many rows without, and the branches against."""

    def __init__(self, network: Network, begun: Begun, owners: Sequence[int]) -> None:
        count = len(begun.ids) - len(owners)
        self._network, self._requests, self._against = network, count, len(owners)
        rows = [*range(count), *range(count), *owners]
        device = begun.ids.device
        self._owner = torch.tensor(rows, device=device)
        bare = network.bare(begun.rows(torch.arange(count)))
        length = max(begun.ids.shape[1], bare.ids.shape[1])
        told, untold = begun.padded(length), bare.padded(length)
        parts = (
            told.rows(torch.arange(count)),
            untold,
            told.rows(torch.arange(count, len(begun.ids))),
        )
        every = Begun(torch.cat([p.ids for p in parts]), torch.cat([p.valid for p in parts]))
        self._begun, self._valid = every, every.valid
        places = length + network.layout.tokens + network.layout.height  # rows may have ends
        self.cache = Cache(layer_class_to_replicate=partial(Room, places))  # type: ignore[arg-type]
        self._tokens = torch.zeros(count, network.layout.tokens, dtype=torch.int64, device=device)
        self._kept = self._tokens.clone()
        self._done = 0

    def propose(self) -> Proposal | None:
        network, done = self._network, self._done
        if done == network.layout.tokens:
            return None
        if done:
            inputs = network.feed(self._tokens[self._owner, done - 1], done)
            self._valid = F.pad(self._valid, (0, inputs.shape[1]), value=True)
        else:
            inputs = network.read(self._begun.ids)
        places = (self._valid.cumsum(1) - 1).clamp_min(0)[:, -inputs.shape[1] :]
        logits = network.logits(inputs, self._valid, places, self.cache).float()[:, None]
        positions = torch.tensor([done], device=logits.device)
        site = Site("image", done, network.layout.tokens, None, positions)
        both = 2 * self._requests
        against = logits[both : both + self._against]
        return Proposal(site, logits[:both].reshape(2, -1, *logits.shape[1:]), against)

    def commit(self, drawn: Tensor, kept: Tensor) -> None:
        """Goes on from what was drawn, which the model knows how to continue."""
        self._tokens[:, self._done] = drawn[:, 0]
        self._kept[:, self._done] = kept[:, 0]
        self._done += 1

    def tokens(self) -> Tensor:
        """The tokens kept, (B, h, w); 0 where none is chosen yet."""
        layout = self._network.layout
        return self._kept.reshape(-1, layout.height, layout.width)
