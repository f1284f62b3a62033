"""Ours beside the published methods: same wishes, same attacks, same false-positive rate.

Ours, DwtDctSvd and RivaGAN have exact p-values. IndexMark's and LBW's own p-values are false, so
their thresholds are taken from pictures without a mark under random keys. LBW is judged on
drawings with a lexical bias that are as strongly marked as `generate` marks them, read by the
codec's encoder without a search; IndexMark on the unmarked drawings with every red code swapped
after sampling, read by the detection encoder, as its own is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bench.marks.drawings import Drawing, bench_key
from bench.marks.page import Table, interval
from bench.marks.processes import spread
from bench.marks.size import random_key
from generators.catalog import WEIGHTS
from generators.interface import Codec
from provenance.image import Pixels
from provenance.robustness.attacks import attacked, find
from provenance.robustness.baselines import indexmark_evidence, lbw_evidence
from provenance.robustness.harness import Threshold, at_p, at_rate
from provenance.robustness.peers import PEERS, Peer, message
from provenance.watermark import matching
from provenance.watermark.colouring import pairs
from provenance.watermark.detect import detect
from provenance.watermark.geometry import Frame, framed
from provenance.watermark.keys import Key
from provenance.watermark.scheme import Scheme
from provenance.watermark.search import Plan
from workers.marking import Kind, Marker

Floats = NDArray[np.float64]

PUBLISHED = ("IndexMark as published", "LBW as published")
RATES = (1e-3, 1e-6)
RESAMPLES = 1000  # of the bootstrap


@dataclass(frozen=True, eq=False)
class Task:
    """One wish drawn with our mark, with a bias and without, and the attacks they go through."""

    marked: Drawing
    biased: Drawing
    plain: Drawing
    attacks: tuple[str, ...]
    plan: Plan
    others: Mapping[str, Peer]


@dataclass(frozen=True, eq=False)
class Nulls:
    """Tokens (N, T) of pictures without a mark, as IndexMark and as LBW read them."""

    name: str
    indexmark: NDArray[np.int64]
    lbw: NDArray[np.int64]


@dataclass(frozen=True)
class Line:
    """A method, its column, and a threshold for each rate; `against` tells where they come from."""

    method: str
    column: int
    against: str
    thresholds: tuple[Threshold, ...]


def judge(marker: Marker, task: Task) -> Floats:
    """The evidence of ours, IndexMark, LBW and the others after each attack, (attacks, methods)."""
    side, number = marker.spec.side, task.plain.number
    scheme, partner = indexmark(marker)
    green, pool = scheme.green(bench_key(), 0), _pool(_lexical(marker), bench_key())
    swapped = indexmarked(marker.codec, task.plain, green, partner)
    bits = message(np.random.default_rng(number))
    embedded = [peer.embed(task.plain.pixels, bits) for peer in task.others.values()]
    rows = []
    for name in task.attacks:
        ours, biased, theirs, *others = (
            attacked(pixels, find(name), seed=number)
            for pixels in (task.marked.pixels, task.biased.pixels, swapped, *embedded)
        )
        read = read_tokens(marker.codec, theirs, side)
        encoded = encoded_tokens(marker.codec, biased, side)
        rows.append(
            [
                _own_evidence(marker, ours, task.plan),
                indexmark_evidence(read, green),
                lbw_evidence(encoded, pool, gamma=_lexical(marker).colouring.gamma),
                *(
                    peer.evidence(copy, bits)
                    for peer, copy in zip(task.others.values(), others, strict=True)
                ),
            ]
        )
    return np.array(rows)


def indexmark(marker: Marker) -> tuple[Scheme, NDArray[np.int32]]:
    """One list of pairs of all codes, and who replaces whom."""
    digest = marker.spec.codec.digest
    partner = matching.load(WEIGHTS / marker.spec.pairs, digest).partner
    return Scheme("indexmark", marker.name, digest, pairs(partner)), partner


def indexmarked(
    codec: Codec, drawing: Drawing, green: NDArray[np.bool_], partner: NDArray[np.int32]
) -> Pixels:
    """The drawing with every red token swapped after sampling."""
    swapped = np.where(green[drawing.tokens], drawing.tokens, partner[drawing.tokens])
    pixels: Pixels = codec.decode(torch.from_numpy(swapped.astype(np.int64))[None])[0].numpy()
    return pixels


def _lexical(marker: Marker) -> Scheme:
    return marker.watermark(Kind.LEXICAL, bench_key(), "any", delta=0).scheme


def _pool(scheme: Scheme, key: Key) -> NDArray[np.bool_]:
    """All lists of a key, (L, V)."""
    return np.stack([scheme.green(key, index) for index in range(scheme.lists)])


def _own_evidence(marker: Marker, pixels: Pixels, plan: Plan) -> float:
    search = marker.search(pixels, plan)
    finding = detect(search.views(), marker.banks([bench_key()]), planned=search.planned)
    return float(-np.log10(finding.corrected))


def read_tokens(codec: Codec, pixels: Pixels, side: int) -> NDArray[np.int64]:
    """Tokens (T,) by the detection encoder, of the picture scaled to the generator's size."""
    tokens: NDArray[np.int64] = codec.read(_at_side(pixels, side)).tokens[0].numpy().ravel()
    return tokens


def encoded_tokens(codec: Codec, pixels: Pixels, side: int) -> NDArray[np.int64]:
    """The same by the encoder."""
    tokens: NDArray[np.int64] = codec.encode(_at_side(pixels, side))[0].numpy().ravel()
    return tokens


def _at_side(pixels: Pixels, side: int) -> torch.Tensor:
    own = torch.from_numpy(np.ascontiguousarray(pixels, np.float32))
    return framed(own, Frame(side, side))[None]


def nulls(marker: Marker, name: str, pictures: Sequence[Pixels]) -> Nulls:
    """Pictures without a mark, read once."""
    codec, side = marker.codec, marker.spec.side
    return Nulls(
        name,
        np.stack([read_tokens(codec, pixels, side) for pixels in pictures]),
        np.stack([encoded_tokens(codec, pixels, side) for pixels in pictures]),
    )


def lines(
    marker: Marker, unmarked: Sequence[Nulls], others: Iterable[str], rates: Sequence[float]
) -> list[Line]:
    """Every method at every rate; those without an exact p once for each kind of null."""
    exact = tuple(at_p(rate) for rate in rates)
    out = [Line("ours", 0, "exact p", exact)]
    for null in unmarked:
        scores = null_scores(marker, null, trials=round(1 / min(rates)))
        for column, (method, each) in enumerate(scores.items(), start=1):
            thresholds = tuple(at_rate(each, rate) for rate in rates)
            out.append(Line(method, column, null.name, thresholds))
    first = 1 + len(PUBLISHED)
    return out + [Line(name, n, "exact p", exact) for n, name in enumerate(others, start=first)]


def null_scores(marker: Marker, null: Nulls, *, trials: int) -> dict[str, list[float]]:
    """What IndexMark and LBW say of unmarked pictures, each under keys of its own."""
    keys = -(-trials // len(null.lbw))
    rng = np.random.default_rng(31)
    paired, lexical = indexmark(marker)[0], _lexical(marker)
    greens = [paired.green(random_key(rng), 0) for _ in range(keys)]
    pools = [_pool(lexical, random_key(rng)) for _ in range(keys)]
    gamma = lexical.colouring.gamma
    indexmark_scores = [indexmark_evidence(t, green) for green in greens for t in null.indexmark]
    lbw_scores = [lbw_evidence(t, pool, gamma=gamma) for pool in pools for t in null.lbw]
    return dict(zip(PUBLISHED, (indexmark_scores, lbw_scores), strict=True))


def table(
    wishes: Sequence[tuple[Drawing, Drawing, Drawing]],
    unmarked: Sequence[Nulls],
    presets: Mapping[str, tuple[str, ...]],
    *,
    rates: Sequence[float] = RATES,
    others: Mapping[str, Peer] = PEERS,
    plan: Plan,
    opened: Callable[[], Marker],
    processes: int,
) -> Table:
    """The share found by every method, in the mean and by preset.

    Wishes are drawings of ours, biased and plain.
    """
    attacks = tuple(dict.fromkeys(attack for names in presets.values() for attack in names))
    tasks = [Task(*drawings, attacks, plan, others) for drawings in wishes]
    scores = np.stack(list(spread(judge, tasks, opened=opened, processes=processes)))
    judged = lines(opened(), unmarked, others, rates)
    where = [[attacks.index(attack) for attack in names] for names in presets.values()]
    rows = tuple(
        _row(_found(scores, line, index), f"{rate:.0e}", line, where)
        for index, rate in enumerate(rates)
        for line in judged
    )
    nulls_said = " and of ".join(f"{len(null.lbw)} {null.name}" for null in unmarked)
    notes = (
        f"{len(tasks)} wishes, {len(attacks)} attacks; intervals are 95 %, of {RESAMPLES} "
        "bootstrap samples of the wishes. The thresholds of IndexMark and LBW let this rate of "
        f"{nulls_said} pass under random keys; ours is corrected for all that the {plan.name} "
        "search tries.",
        _ahead(scores, judged, attacks, rates),
    )
    header = ("rate", "method", "threshold", "mean over presets", *presets)
    return Table("peers", header, rows, notes)


def _row(
    found: NDArray[np.bool_], rate: str, line: Line, where: Sequence[Sequence[int]]
) -> tuple[str, ...]:
    """The share of wishes found after the attacks of each preset."""
    each = np.stack([found[:, at].mean(1) for at in where], 1)
    shares = (f"{share:.2f}" for share in each.mean(0))
    return (rate, line.method, line.against, _mean(each.mean(1)), *shares)


def _found(scores: Floats, line: Line, rate: int) -> NDArray[np.bool_]:
    """Which wishes are found after which attacks, (N, attacks)."""
    found: NDArray[np.bool_] = scores[:, :, line.column] >= line.thresholds[rate].value
    return found


def _mean(each: Floats) -> str:
    """The mean over wishes, with its interval."""
    rng = np.random.default_rng(17)
    means = each[rng.integers(0, len(each), (RESAMPLES, len(each)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{each.mean():.3f} ({interval(low, high)})"


def _ahead(
    scores: Floats, judged: Sequence[Line], attacks: Sequence[str], rates: Sequence[float]
) -> str:
    """The attacks after which another method is found more often than ours."""
    says = []
    for index, rate in enumerate(rates):
        ours = _found(scores, judged[0], index).mean(0)
        for line in judged[1:]:
            share = _found(scores, line, index).mean(0)
            for at in np.flatnonzero(share > ours).tolist():
                says.append(
                    f"{line.method} ({line.against}, {rate:.0e}) after {attacks[at]}: "
                    f"{share[at]:.2f} against {ours[at]:.2f}"
                )
    return f"More often found than ours: {'; '.join(says) or 'none after any attack'}."
