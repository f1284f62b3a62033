"""The loop that makes images, and the pinned order of its steps, which `Drawing` takes as well.

Erasure with guidance, temperature, bias, top-k and top-p, draw, swap or trade, commit: the mark's
strength and its detection depend on this order, so it is part of the format and a test holds it.
Every request owns its seed, its erasure, its mark and its settings; its tokens do not depend on
its batch mates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generators.guidance import mix
from generators.interface import Codec, DiscreteModel, Prompt, Provisional, Site


@dataclass(frozen=True)
class Sampling:
    """How boldly to draw: guidance scale, temperature, and the usual cuts of the distribution."""

    guidance: float = 2.5
    temperature: float = 0.9
    top_k: int = 200
    top_p: float = 0.98

    def __post_init__(self) -> None:
        if not self.guidance >= 1:
            raise ValueError(f"guidance must be at least 1, not {self.guidance}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, not {self.temperature}")
        if self.top_k < 1 or not 0 < self.top_p <= 1:
            raise ValueError(f"top_k must be at least 1 and top_p in (0, 1]: {self}")


class Erasure(Protocol):
    """What keeps concepts out of one request while it is sampled.

    `without` and `against` are what `Prompt` says of them; k is how many are in `against`. The
    logits (2 + k, n, V) are those with the prompt, without it, and of every branch against.
    """

    @property
    def without(self) -> tuple[str, ...]: ...

    @property
    def against(self) -> tuple[str, ...]: ...

    def steer(self, site: Site, logits: Tensor, guidance: float) -> Tensor:
        """Guided logits (n, V), steered away; before temperature and mark."""

    def observe(self, site: Site, logits: Tensor, drawn: Tensor) -> None:
        """See which tokens (n,) were drawn from what."""


class Unerased:
    """The explicit choice to keep nothing out; a picture drawn so says so in its record."""

    without: tuple[str, ...] = ()
    against: tuple[str, ...] = ()

    def steer(self, site: Site, logits: Tensor, guidance: float) -> Tensor:
        return mix(logits[0], logits[1], guidance)

    def observe(self, site: Site, logits: Tensor, drawn: Tensor) -> None:
        pass


class Watermark(Protocol):
    """What a mark does to one request while it is sampled."""

    def favour(self, site: Site, logits: Tensor) -> Tensor:
        """Biased logits, (n, V) -> (n, V)."""

    def swap(self, site: Site, tokens: Tensor, logits: Tensor) -> Tensor:
        """Tokens to keep instead of those drawn, by the biased logits, (n,), (n, V) -> (n,)."""


class Unmarked:
    """The explicit choice of no mark; a picture drawn so says so wherever it is recorded."""

    def favour(self, site: Site, logits: Tensor) -> Tensor:
        return logits

    def swap(self, site: Site, tokens: Tensor, logits: Tensor) -> Tensor:
        return tokens


class BadRequest(ValueError):
    """A wish that cannot be drawn; the text says which part and why."""


@dataclass(frozen=True)
class Request:
    """One picture wished for."""

    prompt: str
    seed: int
    sampling: Sampling = Sampling()

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise BadRequest(f"seed must be between 0 and 2^63 - 1, not {self.seed}")


@dataclass(frozen=True)
class Drawn:
    """One picture made: its tokens int64, (h, w) or (T,), and its 8-bit pixels (H, W, 3)."""

    request: Request
    tokens: NDArray[np.int64]
    pixels: NDArray[np.uint8]


def cut(logits: Tensor, *, top_k: int, top_p: float) -> Tensor:
    """Probabilities (n, V) after top-k and top-p; the likeliest code always stays."""
    values, order = logits.topk(min(top_k, logits.shape[-1]), dim=-1)
    kept = values.double().softmax(-1)
    if top_p < 1:
        before = kept.cumsum(-1) - kept
        kept = kept.masked_fill(before >= top_p, 0)
        kept = kept / kept.sum(-1, keepdim=True)
    return torch.zeros(logits.shape, dtype=kept.dtype, device=kept.device).scatter_(-1, order, kept)


def choose(probabilities: Tensor, rng: torch.Generator) -> Tensor:
    """Tokens (n,) drawn from (n, V) by inverting the distribution, one uniform number each."""
    uniform = torch.rand(len(probabilities), 1, generator=rng, dtype=torch.float64)
    total = probabilities.cumsum(-1)
    point = uniform.to(total.device) * total[:, -1:]
    return torch.searchsorted(total, point, right=True).squeeze(-1).clamp_max(total.shape[-1] - 1)


class Chosen(NamedTuple):
    """Tokens (n,) of one request at a site: drawn, kept, and how sure they are if that is asked."""

    drawn: Tensor
    kept: Tensor
    sure: Tensor


def step(
    site: Site,
    logits: Tensor,
    request: Request,
    erasure: Erasure,
    watermark: Watermark,
    rng: torch.Generator,
) -> Chosen:
    """The tokens (n,) of one request at one site from its logits (2 + k, n, V)."""
    how = request.sampling
    mixed = erasure.steer(site, logits, site.guidance(how.guidance)) / how.temperature
    favoured = watermark.favour(site, mixed)
    probabilities = cut(favoured, top_k=how.top_k, top_p=how.top_p)
    drawn = choose(probabilities, rng)
    erasure.observe(site, logits, drawn)
    kept = watermark.swap(site, drawn, favoured)
    if site.noise is None:
        return Chosen(drawn, kept, favoured[:, 0])
    likely = favoured.log_softmax(-1).gather(-1, kept[:, None])[:, 0]
    uniform = torch.rand(len(kept), generator=rng, dtype=torch.float64).clamp_min(1e-20)
    return Chosen(drawn, kept, likely - site.noise * (-uniform.log()).log())


@torch.inference_mode()
def draw(
    model: DiscreteModel,
    codec: Codec,
    requests: Sequence[Request],
    *,
    erasures: Sequence[Erasure],
    watermarks: Sequence[Watermark],
    progress: Callable[[int, int], None] = lambda done, total: None,
    show: Callable[[Tensor], None] = lambda tokens: None,
) -> list[Drawn]:
    """Draw a batch; every request has an erasure (or `Unerased`) and a mark (or `Unmarked`) of its
    own, in the same order.

    After every step `show` is given the tokens so far, and 0 where none is chosen yet.
    """
    check_together(requests, erasures, watermarks)
    rngs = [torch.Generator().manual_seed(request.seed) for request in requests]
    run = model.open(
        [
            Prompt(request.prompt, erasure.without, erasure.against)
            for request, erasure in zip(requests, erasures, strict=True)
        ]
    )
    branches = [len(erasure.against) for erasure in erasures]
    while (proposal := run.propose()) is not None:
        site, logits = proposal.site, proposal.logits.cpu()  # not every device has float64
        against = torch.split(proposal.against.cpu(), branches)
        rows = [
            step(site, torch.cat([logits[:, b], against[b]]), request, erasure, watermark, rng)
            for b, (request, erasure, watermark, rng) in enumerate(
                zip(requests, erasures, watermarks, rngs, strict=True)
            )
        ]
        run.commit(*(torch.stack([row[part] for row in rows]) for part in (0, 1)))
        if site.noise is not None:
            assert isinstance(run, Provisional), "only such a run asks how sure tokens are"
            run.settle(torch.stack([row.sure for row in rows]))
        show(run.tokens())
        progress(site.step + 1, site.steps)
    return pictures(codec, requests, run.tokens())


def check_together(
    requests: Sequence[Request], erasures: Sequence[Erasure], watermarks: Sequence[Watermark]
) -> None:
    """Raise BadRequest unless there are requests, and an erasure and a mark for each."""
    if not len(erasures) == len(watermarks) == len(requests) or not requests:
        raise BadRequest(
            f"{len(requests)} requests need as many erasures and marks, "
            f"not {len(erasures)} and {len(watermarks)}"
        )


def pictures(codec: Codec, requests: Sequence[Request], tokens: Tensor) -> list[Drawn]:
    """What was drawn, once its tokens (B, h, w) or (B, T) are complete."""
    pixels = codec.decode(tokens)
    rounded = (pixels * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [
        Drawn(request, grid, picture)
        for request, grid, picture in zip(requests, tokens.cpu().numpy(), rounded, strict=True)
    ]
