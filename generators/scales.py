"""Next-scale transformers in VAR's layout (arXiv 2404.02905, sections 3.2 and 3.3).

Every step draws all tokens of one scale. Its inputs are the sum of what the scales before add,
shrunk to its side; attention sees its own tokens and all before. The class comes in through
adaptive layer norms, of every block or, in d36-s, shared by all. Parameter names are VAR's own.
Guidance grows from nothing at the coarsest scale to its full strength at the finest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.codecs.residual import PATCHES_256, PATCHES_512, Quantiser
from generators.interface import CannotAsk, Layout, Prompt, Proposal, Site, Unsupported

LOUDEST = 4.605170249938965  # the logarithm of 100, in single precision: no head attends more


@dataclass(frozen=True)
class ScalesConfig:
    """Sizes of the transformer; the defaults are those of VAR-d16."""

    codes: int = 4096
    code_dim: int = 32
    sides: tuple[int, ...] = PATCHES_256
    depth: int = 16
    dim: int = 1024
    heads: int = 16
    classes: int = 1000
    unit_heads: bool = True  # queries and keys are normalised
    shared_norm: bool = False  # one adaptive layer norm for all blocks

    @property
    def starts(self) -> tuple[int, ...]:
        """Where each scale starts in the row of all tokens, and where the last one ends."""
        out = [0]
        for side in self.sides:
            out.append(out[-1] + side * side)
        return tuple(out)


def _official(depth: int, *, sides: tuple[int, ...] = PATCHES_256) -> ScalesConfig:
    return ScalesConfig(
        sides=sides, depth=depth, dim=64 * depth, heads=depth, shared_norm=sides == PATCHES_512
    )


CONFIGS: dict[str, ScalesConfig] = {
    "var-d16": _official(16),
    "var-d20": _official(20),
    "var-d24": _official(24),
    "var-d30": _official(30),
    "var-d36-s": _official(36, sides=PATCHES_512),
}


class Attention(nn.Module):
    """Self-attention; keys have no bias, and every head a temperature of its own."""

    zero_k_bias: Tensor

    def __init__(self, config: ScalesConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.mat_qkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(config.dim))
        self.v_bias = nn.Parameter(torch.zeros(config.dim))
        self.register_buffer("zero_k_bias", torch.zeros(config.dim))
        self.proj = nn.Linear(config.dim, config.dim)
        self.unit = config.unit_heads
        if self.unit:
            self.scale, start = 1.0, torch.full((1, config.heads, 1, 1), 4.0).log()
            self.scale_mul_1H11 = nn.Parameter(start)
        else:
            self.scale = 0.25 / (config.dim // config.heads) ** 0.5

    def forward(self, x: Tensor, mask: Tensor | None, cache: Tensor | None, start: int) -> Tensor:
        bias = torch.cat([self.q_bias, self.zero_k_bias, self.v_bias])
        joint = F.linear(x, self.mat_qkv.weight, bias).reshape(*x.shape[:2], 3, self.heads, -1)
        q, k, v = joint.permute(2, 0, 3, 1, 4)
        if self.unit:
            q = F.normalize(q, dim=-1) * self.scale_mul_1H11.clamp_max(LOUDEST).exp()
            k = F.normalize(k, dim=-1)
        if cache is not None:
            end = start + x.shape[1]
            cache[0, :, :, start:end], cache[1, :, :, start:end] = k, v
            k, v = cache[0, :, :, :end], cache[1, :, :, :end]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=self.scale)
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """GELU by its tangent formula, four times as wide inside."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x), approximate="tanh"))
        return out


def _adaptive(dim: int, parts: int) -> nn.Sequential:
    """The class vector (B, D) to `parts` vectors, side by side."""
    return nn.Sequential(nn.SiLU(), nn.Linear(dim, parts * dim))


def _norm(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


class Block(nn.Module):
    """Attention and feed-forward; the class scales and shifts the input of each, and its output."""

    def __init__(self, config: ScalesConfig) -> None:
        super().__init__()
        self.attn = Attention(config)
        self.ffn = FeedForward(config.dim)
        self.shared = config.shared_norm
        if self.shared:
            self.ada_gss = nn.Parameter(torch.randn(1, 1, 6, config.dim) / config.dim**0.5)
        else:
            self.ada_lin = _adaptive(config.dim, 6)

    def forward(
        self, x: Tensor, told: Tensor, mask: Tensor | None, cache: Tensor | None, start: int
    ) -> Tensor:
        six = self.ada_gss + told if self.shared else self.ada_lin(told).unflatten(-1, (1, 6, -1))
        gain1, gain2, scale1, scale2, shift1, shift2 = six.unbind(2)
        x = x + gain1 * self.attn(_norm(x) * (1 + scale1) + shift1, mask, cache, start)
        out: Tensor = x + gain2 * self.ffn(_norm(x) * (1 + scale2) + shift2)
        return out


class HeadNorm(nn.Module):
    """The adaptive layer norm before the logits."""

    def __init__(self, config: ScalesConfig) -> None:
        super().__init__()
        self.ada_lin = _adaptive(config.dim, 2)

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        scale, shift = self.ada_lin(classes).unflatten(-1, (1, 2, -1)).unbind(2)
        out: Tensor = _norm(x) * (1 + scale) + shift
        return out


class ScalesTransformer(nn.Module):
    """Logits of every token given the class and what the coarser scales add up to."""

    lvl_1L: Tensor
    attn_bias_for_masking: Tensor

    def __init__(self, config: ScalesConfig) -> None:
        super().__init__()
        self.config = config
        tokens, first = config.starts[-1], config.starts[1]
        self.word_embed = nn.Linear(config.code_dim, config.dim)
        self.class_emb = nn.Embedding(config.classes + 1, config.dim)  # the last: no class
        self.pos_start = nn.Parameter(torch.zeros(1, first, config.dim))
        self.pos_1LC = nn.Parameter(torch.zeros(1, tokens, config.dim))
        self.lvl_embed = nn.Embedding(len(config.sides), config.dim)
        self.shared_ada_lin = _adaptive(config.dim, 6) if config.shared_norm else nn.Identity()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.head_nm = HeadNorm(config)
        self.head = nn.Linear(config.dim, config.codes)
        scale = torch.cat([torch.full((side**2,), i) for i, side in enumerate(config.sides)])
        self.register_buffer("lvl_1L", scale[None])
        seen = torch.where(scale[:, None] >= scale[None], 0.0, -torch.inf)
        self.register_buffer("attn_bias_for_masking", seen[None, None])

    def told(self, classes: Tensor) -> Tensor:
        """What the blocks are told of the class vectors (B, D)."""
        if not self.config.shared_norm:
            return classes
        told: Tensor = self.shared_ada_lin(classes).unflatten(-1, (1, 6, -1))
        return told

    def places(self) -> Tensor:
        """Where every token stands, (1, T, D): its scale and its position."""
        places: Tensor = self.lvl_embed(self.lvl_1L) + self.pos_1LC
        return places

    def logits(self, x: Tensor, classes: Tensor) -> Tensor:
        logits: Tensor = self.head(self.head_nm(x.float(), classes))
        return logits

    def forward(self, labels: Tensor, sums: Tensor) -> Tensor:
        """Logits (B, T, V) of labels (B,), given the shrunk sums (B, T - first, C)."""
        classes = self.class_emb(labels)
        start = classes[:, None] + self.pos_start
        x = torch.cat([start, self.word_embed(sums)], 1) + self.places()
        told = self.told(classes)
        for block in self.blocks:
            x = block(x, told, self.attn_bias_for_masking, None, 0)
        return self.logits(x, classes)


class Labels(Protocol):
    """Which class a prompt names; raises CannotAsk."""

    def __call__(self, prompt: str) -> int: ...


@dataclass(frozen=True)
class Numbered:
    """Prompts are the numbers of classes."""

    classes: int

    def __call__(self, prompt: str) -> int:
        text = prompt.strip()
        if not (text.isascii() and text.isdigit() and int(text) < self.classes):
            raise CannotAsk(f"a prompt is the number of a class below {self.classes}: {prompt!r}")
        return int(text)


class ScalesModel:
    """A transformer with the quantiser of its codec, ready to draw."""

    def __init__(
        self, transformer: ScalesTransformer, quantiser: Quantiser, labels: Labels
    ) -> None:
        self.transformer = transformer.eval()
        self.quantiser = quantiser.eval()
        self.labels = labels
        sides = transformer.config.sides
        self.layout = Layout(sides[-1], sides[-1], tuple((side, side) for side in sides[:-1]))

    def open(self, prompts: Sequence[Prompt]) -> ScalesRun:
        """Start a batch; raises CannotAsk, and Unsupported for what is said in phrases."""
        if any(prompt.without or prompt.against for prompt in prompts):
            raise Unsupported("a model of classes knows no phrases to draw without or against")
        labels = torch.tensor([self.labels(prompt.text) for prompt in prompts])
        return ScalesRun(self.transformer, self.quantiser, labels)


class ScalesRun:
    """One batch being drawn, scale by scale, over a cache of keys and values."""

    def __init__(
        self, transformer: ScalesTransformer, quantiser: Quantiser, labels: Tensor
    ) -> None:
        config, self._model, self._quantiser = transformer.config, transformer, quantiser
        labels = labels.to(transformer.head.weight.device)
        both = torch.cat([labels, torch.full_like(labels, config.classes)])
        self._classes = transformer.class_emb(both)
        self._told = transformer.told(self._classes)
        self._places = transformer.places()
        shape = (2, len(both), config.heads, config.starts[-1], config.dim // config.heads)
        self._cache = self._classes.new_zeros(config.depth, *shape)
        self._tokens = torch.zeros(
            len(labels), config.starts[-1], dtype=torch.int64, device=labels.device
        )
        side = config.sides[-1]
        self._total = self._classes.new_zeros(len(labels), config.code_dim, side, side)
        self._scale = 0

    def propose(self) -> Proposal | None:
        config, scale, model = self._model.config, self._scale, self._model
        if scale == len(config.sides):
            return None
        start, end = config.starts[scale : scale + 2]
        if scale:
            shrunk = self._quantiser.shrunk(self._total, scale).flatten(2).transpose(1, 2)
            x = model.word_embed(shrunk).repeat(2, 1, 1)
        else:
            x = self._classes[:, None] + model.pos_start
        x = x + self._places[:, start:end]
        for number, block in enumerate(model.blocks):
            x = block(x, self._told, None, self._cache[number], start)
        logits = model.logits(x, self._classes).float()
        logits = logits.reshape(2, -1, *logits.shape[1:])
        positions = torch.arange(start, end, device=logits.device)
        steps = len(config.sides)
        site = Site("image", scale, steps, scale, positions, guided=scale / (steps - 1))
        return Proposal(site, logits, logits[0, :0])

    def commit(self, drawn: Tensor, kept: Tensor) -> None:
        """Goes on from what was kept, so that finer scales answer what a mark changed."""
        config, scale = self._model.config, self._scale
        start, end = config.starts[scale : scale + 2]
        self._tokens[:, start:end] = kept
        side = config.sides[scale]
        grid = self._tokens[:, start:end].reshape(-1, side, side)
        self._total = self._total + self._quantiser.add(scale, grid)
        self._scale += 1

    def tokens(self) -> Tensor:
        """The tokens kept, (B, T), coarse to fine; 0 where none is chosen yet."""
        return self._tokens.clone()
