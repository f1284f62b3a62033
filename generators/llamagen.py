"""LlamaGen's transformers as published (arXiv 2406.06525, section 3.2), by class and by text.

RMSNorm, SwiGLU, rotary positions over rows and columns, the condition as a prefix, a cache of keys
and values that is made once. Parameter names are LlamaGen's own. Queries and keys of the prefix are
turned by the zero matrix, as in the published code: a prefix is attended to evenly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.interface import Layout, Prompt, Proposal, Site, Unsupported
from generators.raster import KERNEL_ROWS, FeedForward, Projection, angles_of, turn
from generators.scales import Labels


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
    """Causal self-attention with an optional cache of keys and values."""

    def __init__(self, config: LlamaGenConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.wqkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.wo = nn.Linear(config.dim, config.dim, bias=False)

    def forward(
        self, x: Tensor, rotation: Tensor, seen: Tensor | None, cache: Tensor | None, start: int
    ) -> Tensor:
        joint: Tensor = self.wqkv(x).view(*x.shape[:2], 3 * self.heads, -1)
        turned = turn(joint[:, :, : 2 * self.heads], rotation)  # queries and keys at once
        q, k = turned.transpose(1, 2).chunk(2, 1)
        v = joint[:, :, 2 * self.heads :].transpose(1, 2)
        if cache is not None:
            end = start + x.shape[1]
            cache[0, :, :, start:end], cache[1, :, :, start:end] = k, v
            k, v = cache[0, :, :, :end], cache[1, :, :, :end]
        causal = seen is None and x.shape[1] > 1
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=causal)
        out: Tensor = self.wo(mixed.transpose(1, 2).flatten(2))
        return out


class Layer(nn.Module):
    """Attention and feed-forward, each behind a norm."""

    def __init__(self, config: LlamaGenConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.dim, eps=1e-5)
        self.attention = Attention(config)
        self.ffn_norm = nn.RMSNorm(config.dim, eps=1e-5)
        self.feed_forward = FeedForward(config.dim, config.hidden)

    def forward(
        self, x: Tensor, rotation: Tensor, seen: Tensor | None, cache: Tensor | None, start: int
    ) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotation, seen, cache, start)
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
        seen = None if valid is None else causal(valid, x.shape[1])
        for layer in self.layers:
            x = layer(x, self.rotation[: x.shape[1]], seen, None, 0)
        logits: Tensor = self.output(self.norm(x[:, prefix.shape[1] - 1 :]))
        return logits

    def advance(self, x: Tensor, seen: Tensor | None, cache: Tensor, start: int) -> Tensor:
        """Logits (B, 1, V) after x (B, L, D) at `start`, over a cache (layers, 2, B, heads, T, d).

        `seen` (B, 1, L, start + L) says what each place sees; None: all up to it.
        """
        rotation = self.rotation[start : start + x.shape[1]]
        for number, layer in enumerate(self.layers):
            x = layer(x, rotation, seen, cache[number], start)
        logits: Tensor = self.output(self.norm(x[:, -1:]))
        return logits.float()


def _shared(conditions: Conditions, spare: int) -> tuple[Conditions, Tensor]:
    """Unlike conditions once, filled up to a multiple of KERNEL_ROWS; and which each row has.

    The last row is repeated `spare` times.
    """
    (prefix, valid), known, rows = conditions, dict[bytes, int](), list[int]()
    for row, vectors in enumerate(prefix):
        told = vectors.float().numpy(force=True).tobytes()
        told += b"" if valid is None else valid[row].numpy(force=True).tobytes()
        rows.append(known.setdefault(told, len(known)))
    rows += rows[-1:] * spare
    firsts = [rows.index(number) for number in range(len(known))]
    firsts += firsts[-1:] * (-len(firsts) % KERNEL_ROWS)
    some = Conditions(prefix[firsts], None if valid is None else valid[firsts])
    return some, torch.tensor(rows, device=prefix.device)


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

    def __init__(self, transformer: LlamaGenTransformer, asking: Asking) -> None:
        self.transformer = transformer.eval()
        self.asking = asking
        self.layout = Layout(transformer.config.side, transformer.config.side)

    def open(self, prompts: Sequence[Prompt]) -> LlamaGenRun:
        """Start a batch; raises Unsupported for phrases that are to be taken out of a prompt."""
        if any(prompt.without for prompt in prompts):
            raise Unsupported("LlamaGen's text states cannot have phrases projected out of them")
        owners = [row for row, prompt in enumerate(prompts) for _ in prompt.against]
        texts = [prompt.text for prompt in prompts]
        texts += [text for prompt in prompts for text in prompt.against]
        return LlamaGenRun(self.transformer, self.asking(self.transformer, texts), owners)


class LlamaGenRun:
    """One batch being drawn, token by token, over a cache of keys and values.

    Rows are the prompts, as many without, and the branches against, filled up to a multiple of
    KERNEL_ROWS: a request's logits are the same to the last bit whatever is drawn beside it. Rows
    without a prompt see as much of their prefix as their prompt does of its own, as published.
    """

    def __init__(
        self, transformer: LlamaGenTransformer, conditions: Conditions, owners: Sequence[int]
    ) -> None:
        config, (prefix, valid) = transformer.config, conditions
        count = len(prefix) - len(owners)
        self._model, self._requests, self._against = transformer, count, len(owners)
        device = prefix.device
        rows = [*range(count), *range(count), *owners]
        spare = -len(rows) % KERNEL_ROWS
        self._owner = torch.tensor(rows + rows[-1:] * spare, device=device)
        empty = transformer.cls_embedding.empty(count)
        shown = None if valid is None else torch.cat([valid[:count], valid[:count], valid[count:]])
        x = torch.cat([prefix[:count], empty, prefix[count:]])
        self._start = _shared(Conditions(x, shown), spare)
        length = config.prefix + config.side**2
        self._seen: Tensor | None = None
        if shown is not None:
            self._seen = causal(torch.cat([shown, shown[-1:].expand(spare, -1)]), length)
        shape = (2, len(rows) + spare, config.heads, length, config.dim // config.heads)
        self._cache = prefix.new_zeros(config.layers, *shape)
        self._tokens = torch.zeros(count, config.side**2, dtype=torch.int64, device=device)
        self._kept = self._tokens.clone()
        self._done = 0

    def propose(self) -> Proposal | None:
        config, model, done = self._model.config, self._model, self._done
        if done == config.side**2:
            return None
        if done:
            start = config.prefix + done - 1
            x = model.tok_embeddings(self._tokens[self._owner, done - 1 : done])
            seen = None if self._seen is None else self._seen[:, :, start : start + 1, : start + 1]
            logits = model.advance(x, seen, self._cache, start)
        else:
            logits = self._first()
        site = Site("image", done, config.side**2, None, torch.tensor([done], device=logits.device))
        both = 2 * self._requests
        against = logits[both : both + self._against]
        return Proposal(site, logits[:both].view(2, -1, *logits.shape[1:]), against)

    def _first(self) -> Tensor:
        """Logits (rows, 1, V) after the prefixes, each computed once whatever rows share it."""
        (prefix, valid), rows = self._start
        places = prefix.shape[1]
        cache = self._cache.new_zeros(
            *self._cache.shape[:2], len(prefix), self._cache.shape[3], places, self._cache.shape[5]
        )
        seen = None if valid is None else causal(valid, places)
        logits = self._model.advance(prefix, seen, cache, 0)
        self._cache[..., :places, :] = cache[:, :, rows]
        return logits[rows]

    def commit(self, drawn: Tensor, kept: Tensor) -> None:
        """Goes on from what was drawn, which the model knows how to continue."""
        self._tokens[:, self._done] = drawn[:, 0]
        self._kept[:, self._done] = kept[:, 0]
        self._done += 1

    def tokens(self) -> Tensor:
        """The tokens kept, (B, h, w); 0 where none is chosen yet."""
        side = self._model.config.side
        return self._kept.reshape(-1, side, side)
