"""Whether a mark shows: marked drawings against unmarked ones of the same captions and seeds.

A marked drawing is another drawing, not a changed one, so both are compared with real icons: by
the nearest of all captions, and by the Frechet distance of their tokens' vectors (the mean vector
of each quarter of the grid). Only a swap and a trade can be compared pixel by pixel: their tokens
are forced to be those of the unmarked drawing, and each is replaced as it would be while sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.marks.drawings import Drawing, bench_key
from bench.marks.page import Table
from generators.catalog import Generator
from generators.interface import Codec, Site
from generators.sampling import Request, Unerased, draw
from provenance.image import Pixels
from provenance.robustness.quality import psnr
from provenance.watermark.mark import Mark
from workers.generate import STRENGTHS
from workers.marking import Kind, Marker, request_id

Floats = NDArray[np.float64]
Ranks = Callable[[Tensor, list[str]], NDArray[np.int64]]  # pictures, their things -> places (B,)

BATCH = 8
RESAMPLES = 1000  # of the bootstrap
CLOSE = 0.02  # how far from unmarked is still the same
LEAST_PSNR = 25.0


def table(
    generator: Generator,
    marker: Marker,
    pairs: Sequence[tuple[Drawing, Drawing]],
    real: Sequence[Pixels],
    ranks: Ranks,
    *,
    forced: int,
) -> Table:
    """Pairs are (marked, unmarked) drawings of one wish; `forced` of them are swapped."""
    marked, plain = ([pair[side] for pair in pairs] for side in (0, 1))
    vectors = [features(marker.codec, [d.pixels for d in side]) for side in (marked, plain)]
    rows = [
        *_caption_rows(_ranked(ranks, marked), _ranked(ranks, plain)),
        _distance_row(vectors[0], vectors[1], features(marker.codec, real)),
        _kept_row(
            "PSNR of index swap, same tokens",
            kept_psnr(generator, marker, plain[:forced], Kind.SWAP),
        ),
        _kept_row(
            "PSNR of trade, same tokens", kept_psnr(generator, marker, plain[:forced], Kind.TRADE)
        ),
    ]
    notes = (
        f"{len(pairs)} captions, drawn with and without a mark from the same seed, against "
        f"{len(real)} real icons; {min(forced, len(plain))} drawings swapped, every red code, and "
        f"traded, at {STRENGTHS[Kind.TRADE][0]:g} nats. "
        f"Intervals are 95 %, of {RESAMPLES} bootstrap samples of the captions. A change is met "
        f"when it is within {CLOSE:.0%} or better; an interval that is wider says that so few "
        "drawings cannot tell.",
    )
    return Table("quality", ("what", "bar", "unmarked", "marked", "change", ""), tuple(rows), notes)


def _ranked(ranks: Ranks, drawings: Sequence[Drawing]) -> NDArray[np.int64]:
    """The place of each drawing's own caption, 0 is nearest."""
    parts = [drawings[start : start + 32] for start in range(0, len(drawings), 32)]
    return np.concatenate(
        [
            ranks(torch.from_numpy(np.stack([d.pixels for d in part])), [d.thing for d in part])
            for part in parts
        ]
    )


def _caption_rows(marked: NDArray[np.int64], plain: NDArray[np.int64]) -> list[tuple[str, ...]]:
    return [
        _caption_row("own caption nearest", marked < 1, plain < 1),
        _caption_row("own caption among the 5 nearest", marked < 5, plain < 5),
    ]


def _caption_row(what: str, marked: NDArray[np.bool_], plain: NDArray[np.bool_]) -> tuple[str, ...]:
    def changed(which: NDArray[np.int64]) -> float:
        return _change(float(marked[which].mean()), float(plain[which].mean()))

    change = changed(np.arange(len(marked)))
    low, high = _bootstrap(len(marked), changed)
    return (
        what,
        f">= -{CLOSE:.0%}",
        f"{plain.mean():.3f}",
        f"{marked.mean():.3f}",
        f"{change:+.1%} ({low:+.1%} to {high:+.1%})",
        "met" if change >= -CLOSE else "missed",
    )


def _change(new: float, old: float) -> float:
    """Relative; 0 to 0 is no change."""
    return float((new - old) / old) if old else float(new > 0)


def features(codec: Codec, pictures: Sequence[Pixels]) -> Floats:
    """The mean code vector of each quarter of the grid, (N, 4 d)."""
    out = []
    for start in range(0, len(pictures), 32):
        pixels = torch.from_numpy(np.stack(pictures[start : start + 32]))
        vectors = codec.codes.vectors[codec.encode(pixels)].permute(0, 3, 1, 2).float()
        out.append(torch.nn.functional.adaptive_avg_pool2d(vectors, 2).flatten(1).numpy())
    return np.concatenate(out).astype(np.float64)


def frechet(one: Floats, other: Floats) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of two samples (N, d) (Heusel et al. 2017)."""
    first, second = (np.cov(x, rowvar=False).reshape(x.shape[1], -1) for x in (one, other))
    cross = np.sqrt(np.linalg.eigvals(first @ second).real.clip(0)).sum()
    apart = float(((one.mean(0) - other.mean(0)) ** 2).sum())
    return apart + float(np.trace(first) + np.trace(second) - 2 * cross)


def _distance_row(marked: Floats, plain: Floats, real: Floats) -> tuple[str, ...]:
    with_mark, without = frechet(marked, real), frechet(plain, real)
    change = _change(with_mark, without)
    low, high = _bootstrap(
        len(marked), lambda n: _change(frechet(marked[n], real), frechet(plain[n], real))
    )
    return (
        "Frechet distance to real icons, codec space",
        f"<= +{CLOSE:.0%}",
        f"{without:.4f}",
        f"{with_mark:.4f}",
        f"{change:+.1%} ({low:+.1%} to {high:+.1%})",
        "met" if change <= CLOSE else "missed",
    )


class Forced:
    """Feeds a drawing's own tokens back, whatever is drawn, and keeps what a mark would swap."""

    def __init__(self, mark: Mark, drawing: Drawing) -> None:
        self._mark = mark
        self._own = torch.from_numpy(drawing.tokens.ravel())
        self.swapped = self._own.clone()

    def favour(self, site: Site, logits: Tensor) -> Tensor:
        return self._mark.favour(site, logits)

    def swap(self, site: Site, tokens: Tensor, logits: Tensor) -> Tensor:
        own = self._own[site.positions]
        self.swapped[site.positions] = self._mark.swap(site, own, logits)
        return own


def kept_psnr(
    generator: Generator, marker: Marker, drawings: Sequence[Drawing], kind: Kind
) -> Floats:
    """dB between each drawing's tokens decoded as they are and swapped or traded, (N,)."""
    out = []
    for start in range(0, len(drawings), BATCH):
        part = drawings[start : start + BATCH]
        requests = [Request(d.prompt, d.seed) for d in part]
        hooks = [
            Forced(
                marker.watermark(
                    kind,
                    bench_key(),
                    request_id(generator.name, d.prompt, d.seed),
                    delta=STRENGTHS[kind][0],
                ),
                d,
            )
            for d in part
        ]
        draw(
            generator.model,
            generator.codec,
            requests,
            erasures=[Unerased()] * len(requests),
            watermarks=hooks,
        )
        plain = torch.from_numpy(np.stack([d.tokens for d in part]))
        swapped = torch.stack([hook.swapped for hook in hooks]).reshape(plain.shape)
        pictures = (_decoded(marker.codec, tokens) for tokens in (plain, swapped))
        out += [psnr(one, other) for one, other in zip(*pictures, strict=True)]
    return np.array(out)


def _decoded(codec: Codec, tokens: Tensor) -> NDArray[np.float32]:
    """8-bit pictures, as files hold them."""
    rounded: NDArray[np.float32] = ((codec.decode(tokens) * 255).round() / 255).numpy()
    return rounded


def _kept_row(what: str, each: Floats) -> tuple[str, ...]:
    low, high = _bootstrap(len(each), lambda n: float(each[n].mean()))
    return (
        what,
        f">= {LEAST_PSNR:g} dB",
        "",
        f"{each.mean():.2f} dB",
        f"({low:.2f} to {high:.2f}), worst tenth {np.quantile(each, 0.1):.2f} dB",
        "met" if each.mean() >= LEAST_PSNR else "missed",
    )


def _bootstrap(size: int, statistic: Callable[[NDArray[np.int64]], float]) -> tuple[float, float]:
    """The 95 % interval of a statistic of resampled numbers 0..size-1."""
    rng = np.random.default_rng(17)
    each = [statistic(rng.integers(0, size, size)) for _ in range(RESAMPLES)]
    low, high = np.quantile(each, (0.025, 0.975))
    return float(low), float(high)
