"""The next-scale transformer of icons-128-scales: every step draws all tokens of one scale.

As in VAR (arXiv 2404.02905, section 3.2) a scale is predicted in one pass from the scales before
it: the input of every token is the map drawn last, interpolated to the new side, and attention
sees all tokens of the same and of coarser scales. Layers, caption and canvas are those of `raster`,
from whose weights this one starts; the caption comes through every layer instead of a prefix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.codecs.pyramid import pooled, spread
from generators.interface import Layout, Prompt, Proposal, Site
from generators.raster import FeedForward, Projection, turn
from generators.text import CLAUSES, DIM, TextEncoder


@dataclass(frozen=True)
class PyramidTransformerConfig:
    """Sizes of the transformer; the canvas holds `canvas` numbers for 8 x 8 places."""

    codes: int = 4096
    code_dim: int = 8
    sides: tuple[int, ...] = (1, 2, 4, 8, 16)
    dim: int = 320
    layers: int = 3
    heads: int = 5
    hidden: int = 768
    canvas: int = 12
    canvas_side: int = 8
    caption_dim: int = DIM
    clauses: int = CLAUSES
    rope_base: float = 10_000.0

    @property
    def starts(self) -> tuple[int, ...]:
        """Where each scale starts in the row of all tokens, and where the last one ends."""
        out = [0]
        for side in self.sides:
            out.append(out[-1] + side * side)
        return tuple(out)


def rotations(config: PyramidTransformerConfig) -> Tensor:
    """Cosines and sines (T, head_dim / 2, 2): half turn by row, half by column of the finest grid.

    A coarse token turns as the middle of its cell does.
    """
    half = config.dim // config.heads // 2
    rates = config.rope_base ** (-torch.arange(0, half, 2).float() / half)
    parts = []
    for side in config.sides:
        cell = config.sides[-1] / side
        angle = torch.outer((torch.arange(side).float() + 0.5) * cell - 0.5, rates)
        rows = angle[:, None].expand(-1, side, -1)
        columns = angle[None].expand(side, -1, -1)
        parts.append(torch.cat([rows, columns], -1).flatten(0, 1))
    angles = torch.cat(parts)
    return torch.stack([angles.cos(), angles.sin()], -1)


def block_mask(config: PyramidTransformerConfig) -> Tensor:
    """Which token sees which, (T, T): those of its own scale and of coarser ones."""
    scale = torch.cat([torch.full((s * s,), i) for i, s in enumerate(config.sides)])
    return scale[:, None] >= scale[None]


class Attention(nn.Module):
    """Self-attention among the tokens of a scale and all before it."""

    def __init__(self, config: PyramidTransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.wqkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.wo = nn.Linear(config.dim, config.dim, bias=False)

    def forward(
        self, x: Tensor, rotation: Tensor, mask: Tensor | None, cache: Tensor | None, start: int
    ) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in self.wqkv(x).chunk(3, -1))
        q, k = turn(q, rotation), turn(k, rotation)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        if cache is not None:
            end = start + x.shape[1]
            cache[0, :, :, start:end], cache[1, :, :, start:end] = k, v
            k, v = cache[0, :, :, :end], cache[1, :, :, :end]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.wo(mixed.transpose(1, 2).flatten(2))
        return out


class Layer(nn.Module):
    """Attention and feed-forward, each behind a norm; the caption is added before both."""

    def __init__(self, config: PyramidTransformerConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.dim, eps=1e-5)
        self.attention = Attention(config)
        self.ffn_norm = nn.RMSNorm(config.dim, eps=1e-5)
        self.feed_forward = FeedForward(config.dim, config.hidden)
        self.caption = nn.Linear(config.dim, config.dim, bias=False)

    def forward(
        self,
        x: Tensor,
        caption: Tensor,
        rotation: Tensor,
        mask: Tensor | None,
        cache: Tensor | None,
        start: int,
    ) -> Tensor:
        x = x + self.caption(caption)[:, None]
        x = x + self.attention(self.attention_norm(x), rotation, mask, cache, start)
        out: Tensor = x + self.feed_forward(self.ffn_norm(x))
        return out


class CaptionEmbedding(nn.Module):
    """Caption vectors (B, clauses, width) to one for all layers, and to a canvas at every side."""

    def __init__(self, config: PyramidTransformerConfig) -> None:
        super().__init__()
        self.sides, self.side = config.sides, config.canvas_side
        self.whole = Projection(config.clauses * config.caption_dim, config.dim)
        self.uncond_embedding = nn.Parameter(
            torch.randn(config.clauses, config.caption_dim) / config.caption_dim**0.5
        )
        self.canvas = nn.Linear(config.caption_dim, self.side**2 * config.canvas, bias=False)
        self.stroke = nn.Linear(config.canvas, config.dim, bias=False)

    def forward(self, captions: Tensor) -> tuple[Tensor, Tensor]:
        """The vector (B, dim), and what the canvas holds for every token (B, T, dim)."""
        places = self.canvas(captions[:, 0]).unflatten(1, (self.side, self.side, -1))
        places = places.permute(0, 3, 1, 2)
        maps = [resized(places, side).flatten(2) for side in self.sides]
        return self.whole(captions.flatten(1)), self.stroke(torch.cat(maps, 2).transpose(1, 2))


def resized(x: Tensor, side: int) -> Tensor:
    """A map (B, C, k, k) at another side: means of cells down, linear in between up."""
    if side <= x.shape[-1]:
        return pooled(x, side)
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)


class PyramidTransformer(nn.Module):
    """Logits of every token given the caption and all coarser scales."""

    rotation: Tensor
    mask: Tensor

    def __init__(self, config: PyramidTransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.cls_embedding = CaptionEmbedding(config)
        self.before = nn.ModuleList(
            nn.Conv2d(config.code_dim, config.dim, 3, padding=1, bias=False)
            for _ in config.sides[1:]
        )
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.positions = nn.Parameter(torch.randn(config.starts[-1], config.dim) * 0.02)
        self.norm = nn.RMSNorm(config.dim, eps=1e-5)
        self.output = nn.Linear(config.dim, config.codes, bias=False)
        self.register_buffer("rotation", rotations(config), persistent=False)
        self.register_buffer("mask", block_mask(config), persistent=False)

    def embed(self, scale: int, codes: Tensor) -> Tensor:
        """The input (B, k k, dim) of a scale, from the code vectors (B, d, j, j) before it."""
        wide = F.interpolate(
            codes, size=(self.config.sides[scale],) * 2, mode="bilinear", align_corners=False
        )
        out: Tensor = self.before[scale - 1](wide * wide.shape[1] ** 0.5)
        return out.flatten(2).transpose(1, 2)

    def forward(self, captions: Tensor, codes: Sequence[Tensor]) -> Tensor:
        """Logits (B, T, V), given the code vectors of all scales but the last."""
        logits: Tensor = self.output(self.states(captions, codes))
        return logits

    def states(self, captions: Tensor, codes: Sequence[Tensor]) -> Tensor:
        """The last hidden states (B, T, dim), normed, of which the logits are linear."""
        whole, canvas = self.cls_embedding(captions)
        x = canvas + self.positions
        inputs = [self.embed(number + 1, vectors) for number, vectors in enumerate(codes)]
        first = x.new_zeros(len(x), self.config.starts[1], self.config.dim)
        x = x + torch.cat([first, *(part.to(x.dtype) for part in inputs)], 1)
        for layer in self.layers:
            x = layer(x, whole, self.rotation, self.mask, None, 0)
        states: Tensor = self.norm(x)
        return states


class PyramidModel:
    """A transformer with its prompt encoder and the codebook (V, d), ready to draw."""

    def __init__(
        self, transformer: PyramidTransformer, codebook: Tensor, text: TextEncoder
    ) -> None:
        self.transformer = transformer.eval()
        self.codebook = codebook
        self.text = text
        sides = transformer.config.sides
        self.layout = Layout(sides[-1], sides[-1], tuple((side, side) for side in sides[:-1]))

    def open(self, prompts: Sequence[Prompt]) -> PyramidRun:
        """Start a batch; a prompt takes two rows, with and without it, and one a branch against."""
        branches = []
        for prompt in prompts:
            asked = self.text.asked([prompt], self.transformer.cls_embedding.uncond_embedding)
            captions = torch.cat([asked, self.text.prompts(prompt.against)])
            branches.append(captions.to(self.transformer.output.weight))
        return PyramidRun(self.transformer, self.codebook, branches)


class PyramidRun:
    """One batch being drawn, scale by scale; each request is computed by itself.

    A pass has hundreds of tokens, so that a processor gains nothing from drawing requests together,
    and alone a request's logits do not depend on its batch mates, to the last bit.
    """

    def __init__(
        self, transformer: PyramidTransformer, codebook: Tensor, branches: Sequence[Tensor]
    ) -> None:
        """`branches` are the captions of each request: its prompt, then those it is drawn against.

        The row without a caption comes after the prompt.
        """
        config = transformer.config
        self._model, self._codebook = transformer, codebook
        empty = transformer.cls_embedding.uncond_embedding[None]
        self._told = [
            transformer.cls_embedding(torch.cat([captions[:1], empty, captions[1:]]))
            for captions in branches
        ]
        length, width = config.starts[-1], config.dim // config.heads
        self._caches = [
            captions.new_zeros(config.layers, 2, len(captions) + 1, config.heads, length, width)
            for captions in branches
        ]
        self._tokens = torch.zeros(
            len(branches), config.starts[-1], dtype=torch.int64, device=codebook.device
        )
        self._scale = 0

    def propose(self) -> Proposal | None:
        config, scale = self._model.config, self._scale
        if scale == len(config.sides):
            return None
        each = [self._logits(b) for b in range(len(self._caches))]
        logits = torch.stack([rows[:2] for rows in each], 1)
        start, end = config.starts[scale : scale + 2]
        positions = torch.arange(start, end, device=logits.device)
        site = Site("image", scale, len(config.sides), scale, positions)
        return Proposal(site, logits, torch.cat([rows[2:] for rows in each]))

    def _logits(self, request: int) -> Tensor:  # (2 + k, n, V)
        model, scale = self._model, self._scale
        starts, sides = model.config.starts, model.config.sides
        whole, canvas = self._told[request]
        start, end = starts[scale : scale + 2]
        x = (canvas + model.positions)[:, start:end]
        if scale:
            grid = self._tokens[request, starts[scale - 1] : start]
            codes = self._codebook[grid].T.reshape(-1, sides[scale - 1], sides[scale - 1])[None]
            x = x + model.embed(scale, codes)
        rotation = model.rotation[start:end]
        for number, layer in enumerate(model.layers):
            x = layer(x, whole, rotation, None, self._caches[request][number], start)
        logits: Tensor = model.output(model.norm(x)).float()
        return logits

    def commit(self, drawn: Tensor, kept: Tensor) -> None:
        """A residual family goes on from what was kept: finer scales answer a mark's swaps."""
        start, end = self._model.config.starts[self._scale : self._scale + 2]
        self._tokens[:, start:end] = kept
        self._scale += 1

    def tokens(self) -> Tensor:
        """The tokens kept, (B, T), coarse to fine.

        Where none is chosen yet stands the coarser one around it, which describes the same place.
        """
        starts, sides = self._model.config.starts, self._model.config.sides
        out = self._tokens.clone()
        for scale in range(max(1, self._scale), len(sides)):
            side = sides[scale - 1]
            above = out[:, starts[scale - 1] : starts[scale]].reshape(-1, 1, side, side)
            wide = spread(above.float(), sides[scale]).long()
            out[:, starts[scale] : starts[scale + 1]] = wide.flatten(1)
        return out
