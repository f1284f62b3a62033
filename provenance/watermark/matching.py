"""A perfect matching of a codebook: every code gets the partner that may replace it.

IndexMark (arXiv 2505.14673, section 3.2) asks for the maximum-weight perfect matching on the graph
of nearest neighbours. Blossom takes minutes for 16,384 codes, so it is run on cells of the codebook
instead: first to match each cell, then, cut in other directions, to improve the matching that is
there. No round makes it worse, and the result depends on the vectors alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import rustworkx as rx
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from provenance.watermark.errors import BadMatching, CodecMismatch

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]

FORMAT = "countermark-matching/1"
CELL = 1024  # codes: Blossom takes 0.1 s here and 300 s at 16,384
ROUNDS = 12
FINEST = 1_000_000  # Blossom wants integer weights: similarities in millionths of their range


class Metric(StrEnum):
    """How the codec compares codes: angles of normalised vectors, or squared distances."""

    COSINE = "cosine"
    L2 = "l2"


@dataclass(frozen=True, eq=False)
class Matching:
    """The partner of each code (V,), and how similar they are (V,): cosine, or minus distance^2."""

    partner: Ints
    similarity: Floats

    def __post_init__(self) -> None:
        codes = np.arange(len(self.partner))
        if self.partner.ndim != 1 or self.partner.shape != self.similarity.shape:
            raise BadMatching("partners and similarities do not match")
        if not len(codes) or self.partner.min() < 0 or self.partner.max() >= len(codes):
            raise BadMatching(f"partners must lie in 0..{len(codes) - 1}")
        if (self.partner == codes).any() or (self.partner[self.partner] != codes).any():
            raise BadMatching("every code needs one partner, whose partner it is")

    @property
    def worst(self) -> float:
        return float(self.similarity.min())

    @property
    def mean(self) -> float:
        return float(self.similarity.mean())

    def save(self, path: Path, codec_digest: bytes) -> None:
        """Write the matching for the codec it was made for."""
        tensors = {"partner": self.partner, "similarity": self.similarity}
        save_file(tensors, path, {"format": FORMAT, "codec": codec_digest.hex()})


def load(path: Path, codec_digest: bytes) -> Matching:
    """A saved matching, refused for any other codec than this."""
    try:
        with safe_open(path, "numpy") as file:
            facts = file.metadata() or {}
            partner, similarity = (file.get_tensor(n) for n in ("partner", "similarity"))
    except (OSError, SafetensorError) as e:
        raise BadMatching(f"{path}: not a readable matching: {e}") from e
    if facts.get("format") != FORMAT:
        raise BadMatching(f"{path}: not of format {FORMAT}")
    if facts.get("codec") != codec_digest.hex():
        raise CodecMismatch(
            f"{path}: made for codec {facts.get('codec', '')[:16]}, not {codec_digest.hex()[:16]}"
        )
    return Matching(partner.astype(np.int32), similarity.astype(np.float32))


def read_pairs(path: Path, vectors: Floats, metric: Metric) -> Matching:
    """An official IndexMark file: a JSON list of pairs that covers the codebook (V, d)."""
    try:
        pairs = np.asarray(json.loads(path.read_bytes()))
    except (OSError, ValueError) as e:
        raise BadMatching(f"{path}: not a readable list of pairs: {e}") from e
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise BadMatching(f"{path}: not a list of pairs of whole numbers")
    if not np.array_equal(np.sort(pairs.ravel()), np.arange(len(vectors))):
        raise BadMatching(f"{path}: does not pair each of {len(vectors)} codes once")
    partner = np.empty(len(vectors), np.int32)
    partner[pairs[:, 0]], partner[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
    return _measured(partner, _prepared(vectors, metric), metric)


def match_codes(
    vectors: Floats,
    metric: Metric,
    *,
    neighbours: int = 10,
    bound: float = -np.inf,
) -> Matching:
    """A perfect matching of (V, d): as few pairs as possible less similar than the bound, and then
    the largest total similarity, each nearly (exactly for up to 1,024 codes).

    `similarity < bound` tells the pairs that no matching of their neighbourhood could spare.
    """
    if vectors.ndim != 2 or len(vectors) < 2 or len(vectors) % 2:
        raise BadMatching(f"an even number of code vectors is needed, not {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise BadMatching("code vectors must be finite")
    points = _prepared(vectors, metric)
    far = 2 * (1 - bound) if metric is Metric.COSINE else -bound
    rng = np.random.default_rng(0)
    partner = np.full(len(points), -1, np.int32)
    rounds = ROUNDS if len(points) > CELL else 1
    for _ in range(rounds):
        for cell in _cells(points, partner, rng):
            present = _local(partner, cell)
            partner[cell] = cell[_blossom(points[cell], present, neighbours, far)]
    return _measured(partner, points, metric)


def _prepared(vectors: Floats, metric: Metric) -> Floats:
    """Vectors whose squared distances rank pairs as the metric does."""
    points = np.asarray(vectors, np.float32)
    if metric is Metric.L2:
        return points
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    if not (norms > 0).all():
        raise BadMatching(f"code {int((norms == 0).argmax())} is zero and has no angle")
    unit: Floats = points / norms
    return unit


def _measured(partner: Ints, points: Floats, metric: Metric) -> Matching:
    squared = ((points - points[partner]) ** 2).sum(1)
    similarity = 1 - squared / 2 if metric is Metric.COSINE else -squared
    return Matching(partner, similarity.astype(np.float32))


def _cells(points: Floats, partner: Ints, rng: np.random.Generator) -> Iterator[Ints]:
    """Cut the codebook into even cells by random hyperplanes; pairs stay together."""
    if partner[0] < 0:
        atoms = np.arange(len(points), dtype=np.int32)[:, None]
    else:
        leaders = np.flatnonzero(np.arange(len(points)) < partner).astype(np.int32)
        atoms = np.stack([leaders, partner[leaders]], 1)
    waiting = [atoms]
    while waiting:
        part = waiting.pop()
        if part.size <= CELL:
            yield part.ravel()
            continue
        along = points[part].mean(1) @ rng.standard_normal(points.shape[1], np.float32)
        order = np.argsort(along, kind="stable")
        half = len(part) // 4 * 2  # an even number of codes either side
        waiting += [part[order[:half]], part[order[half:]]]


def _local(partner: Ints, cell: Ints) -> Ints | None:
    """The matching so far in a cell's own numbers, if there is one."""
    if partner[cell[0]] < 0:
        return None
    place = np.empty(len(partner), np.int32)
    place[cell] = np.arange(len(cell))
    return place[partner[cell]]


def _blossom(points: Floats, present: Ints | None, neighbours: int, far: float) -> Ints:
    """The best perfect matching (n,) on the neighbour graph, widened until it has one."""
    n = len(points)
    norms = (points**2).sum(1)
    squared = np.maximum(norms[:, None] + norms - 2 * points @ points.T, 0)
    np.fill_diagonal(squared, np.inf)
    while True:
        near = np.argpartition(squared, min(neighbours, n - 1) - 1, axis=1)[:, :neighbours]
        edges = {(min(a, b), max(a, b)) for a, row in enumerate(near.tolist()) for b in row}
        if present is not None:
            edges |= {(a, b) for a, b in enumerate(present.tolist()) if a < b}
        pairs = np.array(sorted(e for e in edges if e[0] != e[1]))
        matched = rx.max_weight_matching(
            _graph(n, pairs, squared, far), max_cardinality=True, weight_fn=int
        )
        if 2 * len(matched) == n:
            break
        neighbours *= 2
    partner = np.empty(n, np.int32)
    for a, b in matched:
        partner[a], partner[b] = b, a
    return partner


def _graph(n: int, pairs: NDArray[np.int64], squared: Floats, far: float) -> rx.PyGraph:
    """Weights fall with squared distance; one edge beyond `far` costs more than all the rest."""
    cost = squared[pairs[:, 0], pairs[:, 1]].astype(np.float64)
    weight = np.rint((cost.max() - cost) / max(cost.max(), 1e-30) * FINEST).astype(np.int64)
    weight += np.where(cost <= far, n * FINEST, 0)
    graph = rx.PyGraph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from(
        [(a, b, w) for (a, b), w in zip(pairs.tolist(), weight.tolist(), strict=True)]
    )
    return graph
