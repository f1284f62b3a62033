"""Next-token transformers in raster order, in LlamaGen's layout (arXiv 2406.06525, section 3.2).

RMSNorm, SwiGLU, rotary positions over rows and columns, caption vectors as a prefix that is
replaced by a learnt one for guidance, a KV cache. Parameter names are LlamaGen's own. One thing is
not LlamaGen's, and serves a small model on little data: every layer is given the caption anew, and
every input says which position it predicts and what the caption alone would put there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.interface import Layout, Prompt, Proposal, Site
from generators.text import CLAUSES, DIM, TextEncoder


@dataclass(frozen=True)
class RasterConfig:
    """Sizes of the transformer; the prefix holds one vector a clause."""

    codes: int = 4096
    side: int = 16
    dim: int = 320
    layers: int = 6
    heads: int = 5
    hidden: int = 768
    prefix: int = CLAUSES
    canvas: int = 12
    caption_dim: int = DIM
    rope_base: float = 10_000.0


def angles_of(side: int, width: int, base: float) -> Tensor:
    """By how much pairs of a head of this width turn, (side^2, width / 2): by row, then column."""
    half = width // 2
    rates = base ** (-torch.arange(0, half, 2).float() / half)
    angle = torch.outer(torch.arange(side).float(), rates)
    rows, columns = angle[:, None].expand(-1, side, -1), angle[None].expand(side, -1, -1)
    return torch.cat([rows, columns], -1).reshape(side**2, -1)


def rotations(config: RasterConfig) -> Tensor:
    """Cosines and sines (prefix + side^2, head_dim / 2, 2): half turn by row, half by column.

    The prefix is not turned.
    """
    grid = angles_of(config.side, config.dim // config.heads, config.rope_base)
    angles = torch.cat([torch.zeros(config.prefix, grid.shape[1]), grid])
    return torch.stack([angles.cos(), angles.sin()], -1)


def turn(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotate neighbouring pairs of (B, L, H, D) by (L, D/2, 2), or by (B, L, D/2, 2)."""
    a, b = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    cos, sin = rotation.unsqueeze(-3).to(x.dtype).unbind(-1)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)


class Attention(nn.Module):
    """Causal self-attention with an optional cache of keys and values."""

    def __init__(self, config: RasterConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.wqkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.wo = nn.Linear(config.dim, config.dim, bias=False)

    def forward(self, x: Tensor, rotation: Tensor, cache: Tensor | None, start: int) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in self.wqkv(x).chunk(3, -1))
        q, k = turn(q, rotation), turn(k, rotation)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        if cache is not None:
            end = start + x.shape[1]
            cache[0, :, :, start:end], cache[1, :, :, start:end] = k, v
            k, v = cache[0, :, :, :end], cache[1, :, :, :end]
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=x.shape[1] > 1)
        out: Tensor = self.wo(mixed.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim, hidden, bias=False)
        self.w3 = nn.Linear(dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.w2(F.silu(self.w1(x)) * self.w3(x))
        return out


class Layer(nn.Module):
    """Attention and feed-forward, each behind a norm; the caption is added before both."""

    def __init__(self, config: RasterConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.dim, eps=1e-5)
        self.attention = Attention(config)
        self.ffn_norm = nn.RMSNorm(config.dim, eps=1e-5)
        self.feed_forward = FeedForward(config.dim, config.hidden)
        self.caption = nn.Linear(config.dim, config.dim, bias=False)

    def forward(
        self, x: Tensor, caption: Tensor, rotation: Tensor, cache: Tensor | None, start: int
    ) -> Tensor:
        x = x + self.caption(caption)[:, None]
        x = x + self.attention(self.attention_norm(x), rotation, cache, start)
        out: Tensor = x + self.feed_forward(self.ffn_norm(x))
        return out


class Projection(nn.Module):
    """The caption's two-layer perceptron."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, dim, bias=False)
        self.fc2 = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x), approximate="tanh"))
        return out


class CaptionEmbedding(nn.Module):
    """Caption vectors (B, prefix, width) to a prefix, a vector for all layers, and a canvas.

    The canvas is a coarse picture: a few numbers for every position, linear in the subject.
    """

    def __init__(self, config: RasterConfig) -> None:
        super().__init__()
        self.cap_proj = Projection(config.caption_dim, config.dim)
        self.whole = Projection(config.prefix * config.caption_dim, config.dim)
        self.uncond_embedding = nn.Parameter(
            torch.randn(config.prefix, config.caption_dim) / config.caption_dim**0.5
        )
        self.canvas = nn.Linear(config.caption_dim, config.side**2 * config.canvas, bias=False)
        self.stroke = nn.Linear(config.canvas, config.dim, bias=False)

    def forward(self, captions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        canvas = self.canvas(captions[:, 0]).unflatten(1, (-1, self.stroke.in_features))
        return self.cap_proj(captions), self.whole(captions.flatten(1)), self.stroke(canvas)


class RasterTransformer(nn.Module):
    """Logits of the next token given the caption and the tokens before."""

    rotation: Tensor

    def __init__(self, config: RasterConfig) -> None:
        super().__init__()
        self.config = config
        self.tok_embeddings = nn.Embedding(config.codes, config.dim)
        self.cls_embedding = CaptionEmbedding(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.positions = nn.Parameter(torch.randn(config.side**2, config.dim) * 0.02)
        self.norm = nn.RMSNorm(config.dim, eps=1e-5)
        self.output = nn.Linear(config.dim, config.codes, bias=False)
        self.register_buffer("rotation", rotations(config), persistent=False)

    def forward(self, captions: Tensor, embedded: Tensor) -> Tensor:
        """Logits (B, T + 1, V) after the prefix and after each of T embedded tokens (B, T, dim)."""
        logits: Tensor = self.output(self.states(captions, embedded))
        return logits

    def states(self, captions: Tensor, embedded: Tensor) -> Tensor:
        """The last hidden states (B, T + 1, dim), normed, of which the logits are linear."""
        prefix, whole, canvas = self.cls_embedding(captions)
        x = torch.cat([prefix, embedded.to(prefix.dtype)], 1)
        ahead = (self.positions + canvas)[:, : embedded.shape[1] + 1]
        x = x + F.pad(ahead, (0, 0, self.config.prefix - 1, 0))
        rotation = self.rotation[: x.shape[1]]
        for layer in self.layers:
            x = layer(x, whole, rotation, None, 0)
        states: Tensor = self.norm(x[:, self.config.prefix - 1 :])
        return states


class RasterModel:
    """A transformer with its prompt encoder, ready to draw."""

    def __init__(self, transformer: RasterTransformer, text: TextEncoder) -> None:
        self.transformer = transformer.eval()
        self.text = text
        self.layout = Layout(transformer.config.side, transformer.config.side)

    def open(self, prompts: Sequence[Prompt]) -> RasterRun:
        """Start a batch; a prompt takes two rows, with and without it, and one a branch against."""
        captions = self.text.asked(prompts, self.transformer.cls_embedding.uncond_embedding)
        owners = [row for row, prompt in enumerate(prompts) for _ in prompt.against]
        against = self.text.prompts([text for prompt in prompts for text in prompt.against])
        weight = self.transformer.output.weight
        return RasterRun(self.transformer, captions.to(weight), against.to(weight), owners)


KERNEL_ROWS = 4  # a CPU's matrix kernels round other numbers of rows in another order


class RasterRun:
    """One batch being drawn, token by token, over a cache of keys and values.

    Rows are the prompts, as many without, and the branches against, filled up to a multiple of
    KERNEL_ROWS: a request's logits are the same to the last bit whatever is drawn beside it.
    """

    def __init__(
        self,
        transformer: RasterTransformer,
        captions: Tensor,
        against: Tensor | None = None,
        owners: Sequence[int] = (),
    ) -> None:
        config = transformer.config
        against = captions[:0] if against is None else against
        self._model = transformer
        self._requests, self._against = len(captions), len(against)
        rows = [*range(self._requests), *range(self._requests), *owners]
        spare = -len(rows) % KERNEL_ROWS
        self._owner = torch.tensor(rows + rows[-1:] * spare, device=captions.device)
        empty = transformer.cls_embedding.uncond_embedding.expand_as(captions)
        branches = torch.cat([captions, empty, against])
        branches = torch.cat([branches, branches[-1:].expand(spare, -1, -1)])
        self._prefix, self._whole, canvas = transformer.cls_embedding(branches)
        self._ahead = transformer.positions + canvas
        length = config.prefix + config.side**2
        self._cache = captions.new_zeros(
            config.layers, 2, len(branches), config.heads, length, config.dim // config.heads
        )
        self._layout = Layout(config.side, config.side)
        self._tokens = torch.zeros(
            self._requests, self._layout.tokens, dtype=torch.int64, device=captions.device
        )
        self._kept = self._tokens.clone()
        self._done = 0

    def propose(self) -> Proposal | None:
        if self._done == self._layout.tokens:
            return None
        if self._done:
            last = self._tokens[self._owner, self._done - 1 : self._done]
            x = self._model.tok_embeddings(last) + self._ahead[:, self._done : self._done + 1]
            start = self._model.config.prefix + self._done - 1
        else:
            start, ahead = 0, self._ahead[:, :1]
            x = self._prefix + F.pad(ahead, (0, 0, self._model.config.prefix - 1, 0))
        rotation = self._model.rotation[start : start + x.shape[1]]
        for number, layer in enumerate(self._model.layers):
            x = layer(x, self._whole, rotation, self._cache[number], start)
        logits = self._model.output(self._model.norm(x[:, -1:])).float()
        position = torch.tensor([self._done], device=logits.device)
        site = Site("image", self._done, self._layout.tokens, None, position)
        both = 2 * self._requests
        against = logits[both : both + self._against]
        return Proposal(site, logits[:both].unflatten(0, (2, -1)), against)

    def commit(self, drawn: Tensor, kept: Tensor) -> None:
        self._tokens[:, self._done] = drawn[:, 0]
        self._kept[:, self._done] = kept[:, 0]
        self._done += 1

    def tokens(self) -> Tensor:
        return self._kept.reshape(-1, self._layout.height, self._layout.width)
