"""One step of a transformer over a cache of keys and values that is allocated once.

Plain steps read of the cache what each row has, and compute only the rows that are taken. The
other two have one shape for good, so they can be compiled, or captured as a CUDA graph and
replayed: every row of the cache is computed, over all of it, with a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from generators.gpt import LlamaGenTransformer
from generators.products import HalfLinear
from generators.raster import KERNEL_ROWS


class Stepping(StrEnum):
    """How steps are taken."""

    PLAIN = "plain"
    COMPILE = "compile"
    GRAPHS = "graphs"


class CannotStep(RuntimeError):
    """A way of stepping that is not to be had for this model here; the text says why."""


class Rows(NamedTuple):
    """All that a step reads and writes, R rows: the last token and its place, what counts, keys.

    The cache is (2, R, heads, T, d) a layer, keys and then values. `valid` says which places of a
    row's prefix are text. These tensors stay where they are as long as anything is drawn in them.
    """

    tokens: Tensor  # (R,) int64
    places: Tensor  # (R,) int64
    valid: Tensor  # (R, T) bool
    cache: tuple[Tensor, ...]


def allocate(transformer: LlamaGenTransformer, count: int) -> Rows:
    """Rows with nothing in them, on the transformer's device and in its precision."""
    config, like = transformer.config, transformer.tok_embeddings.weight.detach()
    length = config.prefix + config.side**2
    shape = (2, count, config.heads, length, config.dim // config.heads)
    return Rows(
        like.new_zeros(count, dtype=torch.int64),
        like.new_full((count,), config.prefix, dtype=torch.int64),
        like.new_ones(count, length, dtype=torch.bool),
        tuple(like.new_zeros(shape) for _ in range(config.layers)),
    )


def static_rows(asked: int) -> int:
    """How many rows a step of one shape has: few shapes, so that little is compiled."""
    return max(KERNEL_ROWS, 1 << (asked - 1).bit_length())


@dataclass(frozen=True)
class Span:
    """Neighbouring rows of the cache at the same place; `first` is the first one's number in x."""

    first: int
    row: int
    count: int
    end: int  # how many places they see

    @property
    def taken(self) -> slice:
        return slice(self.first, self.first + self.count)

    @property
    def rows(self) -> slice:
        return slice(self.row, self.row + self.count)


def spans(places: Mapping[int, int]) -> list[Span]:
    """Rows and their places, in the order of rows, as few spans as can be."""
    found: list[Span] = []
    for number, (row, place) in enumerate(sorted(places.items())):
        before = found[-1] if found else None
        if before and (before.rows.stop, before.end) == (row, place + 1):
            found[-1] = replace(before, count=before.count + 1)
        else:
            found.append(Span(number, row, 1, place + 1))
    return found


def plain(
    transformer: LlamaGenTransformer, rows: Rows, places: Mapping[int, int], *, padded: bool
) -> Tensor:
    """Logits (n, 1, V) of the rows that are taken, in the order of rows, after their last tokens.

    Computed rows are filled up to a multiple of KERNEL_ROWS, and each attends to no more of the
    cache than it has: its logits are the same to the last bit whatever the others are and wherever
    they are. `padded` says that prefixes are, so that `valid` is needed.
    """
    taken = sorted(places)
    filled = taken + taken[-1:] * (-len(taken) % KERNEL_ROWS)
    index = torch.tensor(filled, device=rows.tokens.device)
    at = rows.places[index]
    x = transformer.tok_embeddings(rows.tokens[index])[:, None]
    look = _Look(index[: len(taken)], at[: len(taken)], spans(places), rows.valid, padded=padded)
    attends = [partial(look.attend, cache) for cache in rows.cache]
    rotation = transformer.rotation[at][:, None]
    return transformer.advance(x, rotation, attends)[: len(taken)]


@dataclass(frozen=True)
class _Look:
    """What the rows of a plain step attend to."""

    index: Tensor
    places: Tensor
    spans: list[Span]
    valid: Tensor
    padded: bool

    def attend(self, cache: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        count = len(self.index)
        new = torch.cat([k[:count], v[:count]], 2).transpose(1, 2)  # (n, 2, heads, d)
        cache[:, self.index, :, self.places] = new
        mixed = [self._seen(span, cache, q[span.taken]) for span in self.spans]
        return F.pad(torch.cat(mixed), (0, 0) * 3 + (0, len(q) - count))

    def _seen(self, span: Span, cache: Tensor, q: Tensor) -> Tensor:
        k, v = cache[:, span.rows, :, : span.end]
        seen = self.valid[span.rows, None, None, : span.end] if self.padded else None
        return F.scaled_dot_product_attention(q, k, v, attn_mask=seen)


def every(
    transformer: LlamaGenTransformer,
    tokens: Tensor,
    places: Tensor,
    valid: Tensor,
    cache: tuple[Tensor, ...],
) -> Tensor:
    """Logits (R, 1, V) of all rows, taken or not, from `Rows`; no shape depends on what is in them.

    Rounded otherwise than `plain`: attention adds up over the whole cache.
    """
    x = transformer.tok_embeddings(tokens)[:, None]
    rotation = transformer.rotation[places][:, None]
    before = torch.arange(valid.shape[1], device=places.device) <= places[:, None]
    seen = (before & valid)[:, None, None]
    lines = torch.arange(len(tokens), device=places.device)

    def attend(cache: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        cache[:, lines, :, places] = torch.cat([k, v], 2).transpose(1, 2)
        return F.scaled_dot_product_attention(q, cache[0], cache[1], attn_mask=seen)

    return transformer.advance(x, rotation, [partial(attend, layer) for layer in cache])


Step = Callable[[], Tensor]  # what `every` returns, of the same rows every time


class Prepare(Protocol):
    """Makes a step of rows that stay where they are."""

    def __call__(self, transformer: LlamaGenTransformer, rows: Rows) -> Step: ...


def check_stepping(transformer: LlamaGenTransformer, stepping: Stepping) -> None:
    """Raise CannotStep unless the transformer can be stepped this way where it is."""
    device = transformer.rotation.device
    if stepping is Stepping.GRAPHS and device.type != "cuda":
        raise CannotStep(f"CUDA graphs need a model on a CUDA device, and this one is on {device}")
    halved = any(isinstance(part, HalfLinear) for part in transformer.modules())
    if stepping is Stepping.COMPILE and halved:
        raise CannotStep("torch.compile knows no products of weights that are kept as halves")
    if stepping is Stepping.COMPILE and device.type == "cpu":
        _check_compiler()


def _check_compiler() -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler  # takes a second, and only here
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as e:
        raise CannotStep(f"torch.compile on a processor needs a C++ compiler: {e}") from e


def prepare(stepping: Stepping) -> Prepare | None:
    """What makes steps; None for plain ones."""
    match stepping:
        case Stepping.PLAIN:
            return None
        case Stepping.COMPILE:
            return compiled()
        case Stepping.GRAPHS:
            return graphed


def compiled(backend: str | Callable[..., object] = "inductor") -> Prepare:
    """Steps compiled by torch.compile, once for every number of rows."""
    function = torch.compile(every, fullgraph=True, dynamic=False, backend=backend)
    return lambda transformer, rows: partial(function, transformer, *rows)


def graphed(
    transformer: LlamaGenTransformer, rows: Rows, capture: Callable[[Step], Step] | None = None
) -> Step:
    """Steps captured once, here, and replayed: what is returned is overwritten by the next one."""
    return (capture or cuda_graph)(partial(every, transformer, *rows))


def cuda_graph(step: Step) -> Step:
    """The step as a CUDA graph; it is taken a few times before, which changes nothing.

    As https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs has it.
    """
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = step()

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay
