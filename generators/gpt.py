"""LlamaGen's transformers as published (arXiv 2406.06525, section 3.2), GPT-B to GPT-3B.

RMSNorm, SwiGLU, rotary positions over rows and columns, the condition as a prefix. Parameter names
are LlamaGen's own. Queries and keys of the prefix are turned by the zero matrix, as in the
published code: a prefix is attended to evenly. What is attended to is the caller's: all of one
pass, or keys and values that were kept of earlier ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.raster import FeedForward, Projection, angles_of, turn

# Queries, keys and values (B, heads, L, d) of one layer to what is attended to, (B, heads, L, d).
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LlamaGenConfig:
    """Sizes of the transformer; the defaults are those of GPT-B by class at 256 px."""

    codes: int = 16384
    side: int = 16
    dim: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 2048
    classes: int = 1000  # 0: it is asked by text
    prefix: int = 1
    caption_dim: int = 0
    rope_base: float = 10_000.0


def _sized(dim: int, layers: int, heads: int) -> LlamaGenConfig:
    hidden = -(-int(8 * dim / 3) // 256) * 256
    return LlamaGenConfig(dim=dim, layers=layers, heads=heads, hidden=hidden)


CONFIGS: dict[str, LlamaGenConfig] = {
    "gpt-b": _sized(768, 12, 12),
    "gpt-l": _sized(1024, 24, 16),
    "gpt-xl": _sized(1280, 36, 20),
    "gpt-xxl": _sized(1536, 48, 24),
    "gpt-3b": _sized(3200, 24, 32),
}


def rotations(config: LlamaGenConfig) -> Tensor:
    """Cosines and sines (prefix + side^2, head_dim / 2, 2); those of the prefix are zero."""
    grid = angles_of(config.side, config.dim // config.heads, config.rope_base)
    turned = torch.stack([grid.cos(), grid.sin()], -1)
    return torch.cat([torch.zeros(config.prefix, *turned.shape[1:]), turned])


class Attention(nn.Module):
    """Self-attention over what the caller says."""

    def __init__(self, config: LlamaGenConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.wqkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.wo = nn.Linear(config.dim, config.dim, bias=False)

    def forward(self, x: Tensor, rotation: Tensor, attend: Attend) -> Tensor:
        joint: Tensor = self.wqkv(x).view(*x.shape[:2], 3 * self.heads, -1)
        turned = turn(joint[:, :, : 2 * self.heads], rotation)  # queries and keys at once
        q, k = turned.transpose(1, 2).chunk(2, 1)
        v = joint[:, :, 2 * self.heads :].transpose(1, 2)
        out: Tensor = self.wo(attend(q, k, v).transpose(1, 2).flatten(2))
        return out


class Layer(nn.Module):
    """Attention and feed-forward, each behind a norm."""

    def __init__(self, config: LlamaGenConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.dim, eps=1e-5)
        self.attention = Attention(config)
        self.ffn_norm = nn.RMSNorm(config.dim, eps=1e-5)
        self.feed_forward = FeedForward(config.dim, config.hidden)

    def forward(self, x: Tensor, rotation: Tensor, attend: Attend) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotation, attend)
        out: Tensor = x + self.feed_forward(self.ffn_norm(x))
        return out


class ClassEmbedding(nn.Module):
    """Classes (B,) to a prefix (B, 1, D); the last one stands for none."""

    def __init__(self, config: LlamaGenConfig) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(config.classes + 1, config.dim)

    def forward(self, classes: Tensor) -> Tensor:
        out: Tensor = self.embedding_table(classes)[:, None]
        return out

    def empty(self, count: int) -> Tensor:
        """The prefix of no class, (count, 1, D)."""
        none = self.embedding_table.num_embeddings - 1
        out: Tensor = self(torch.full((count,), none, device=self.embedding_table.weight.device))
        return out


class CaptionEmbedding(nn.Module):
    """Text states (B, prefix, C) to a prefix (B, prefix, D)."""

    def __init__(self, config: LlamaGenConfig) -> None:
        super().__init__()
        self.cap_proj = Projection(config.caption_dim, config.dim)
        self.uncond_embedding = nn.Parameter(torch.zeros(config.prefix, config.caption_dim))

    def forward(self, captions: Tensor) -> Tensor:
        out: Tensor = self.cap_proj(captions.to(self.uncond_embedding))
        return out

    def empty(self, count: int) -> Tensor:
        """The prefix of no text, (count, prefix, D)."""
        out: Tensor = self(self.uncond_embedding.expand(count, -1, -1))
        return out


class LlamaGenTransformer(nn.Module):
    """Logits of the next token given the condition and the tokens before."""

    rotation: Tensor

    def __init__(self, config: LlamaGenConfig) -> None:
        super().__init__()
        self.config = config
        self.tok_embeddings = nn.Embedding(config.codes, config.dim)
        self.cls_embedding: ClassEmbedding | CaptionEmbedding = (
            ClassEmbedding(config) if config.classes else CaptionEmbedding(config)
        )
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.dim, eps=1e-5)
        self.output = nn.Linear(config.dim, config.codes, bias=False)
        self.register_buffer("rotation", rotations(config), persistent=False)

    def forward(self, prefix: Tensor, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits (B, T + 1, V) after a prefix (B, P, D) and after each of the tokens (B, T)."""
        x = torch.cat([prefix, self.tok_embeddings(tokens)], 1)
        attend = partial(attend_before, None if valid is None else causal(valid, x.shape[1]))
        for layer in self.layers:
            x = layer(x, self.rotation[: x.shape[1]], attend)
        logits: Tensor = self.output(self.norm(x[:, prefix.shape[1] - 1 :]))
        return logits

    def advance(self, x: Tensor, rotation: Tensor, attends: Sequence[Attend]) -> Tensor:
        """Logits (B, 1, V) after x (B, L, D), turned by (L, d / 2, 2) or by (B, L, d / 2, 2).

        `attends` are one a layer.
        """
        for layer, attend in zip(self.layers, attends, strict=True):
            x = layer(x, rotation, attend)
        logits: Tensor = self.output(self.norm(x[:, -1:]))
        return logits.float()


def attend_before(seen: Tensor | None, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of one pass: every place sees those up to it, or what `seen` (B, 1, L, L) says."""
    every = seen is None and q.shape[2] > 1
    return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=every)


def causal(valid: Tensor, length: int) -> Tensor:
    """What each of `length` places sees, (B, 1, L, L): those up to it, less the padding.

    `valid` (B, P) says which places of the prefix are text; a place always sees itself.
    """
    keys = F.pad(valid, (0, length - valid.shape[1]), value=True)[:, None]
    below = torch.ones(length, length, dtype=torch.bool, device=valid.device).tril()
    return (below & keys | torch.eye(length, dtype=torch.bool, device=valid.device))[:, None]


class Conditions(NamedTuple):
    """Prefixes (N, P, D) of prompts, and which places are text (N, P), if not all."""

    prefix: Tensor
    valid: Tensor | None
