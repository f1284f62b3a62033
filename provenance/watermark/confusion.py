"""Colour by confusion: codes that a codec mistakes for each other share one coin.

From counts of what was read for what was drawn, over pictures that were attacked and read back,
bounded clusters are built that keep as much confusion as they can inside. A mistake inside a
cluster does not change a colour. Large clusters forgive more and leave fewer coins to a picture;
no cluster may hold more than a share of all use, so that no single coin decides a picture's colour.
"""

from __future__ import annotations

import heapq
import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from provenance.watermark.errors import BadColouring

Ints = NDArray[np.int32]


def count_confusion(drawn: NDArray[np.int64], read: NDArray[np.int64], codes: int) -> csr_array:
    """Counts (V, V): how often each drawn code (any shape) was read as each other code."""
    if drawn.shape != read.shape:
        raise BadColouring(f"drawn {drawn.shape} and read {read.shape} tokens differ in shape")
    ones = np.ones(drawn.size, np.int64)
    counts = coo_array((ones, (drawn.ravel(), read.ravel())), shape=(codes, codes)).tocsr()
    counts.sum_duplicates()
    return counts


def cluster_codes(confusion: csr_array, *, size: int, share: float = 1 / 64) -> Ints:
    """Cluster labels (V,) from counts (V, V): at most `size` codes and `share` of all use each.

    The two clusters that are confused most, for their sizes, are joined until none may be. A code
    that alone is used more than the share stays alone.
    """
    codes = confusion.shape[0]
    if confusion.shape != (codes, codes) or size < 1 or not 0 < share <= 1:
        raise BadColouring(f"no clusters of {size} codes, share {share}, from {confusion.shape}")
    links = _links(confusion)
    used = np.asarray(confusion.sum(axis=1), np.float64).ravel()
    most = share * used.sum()
    members = {code: [code] for code in range(codes)}
    mass = dict(enumerate(used.tolist()))
    queue = [(-n, a, b) for a, near in links.items() for b, n in near.items() if a < b]
    heapq.heapify(queue)
    while queue:
        priority, a, b = heapq.heappop(queue)
        if a not in members or b not in members:
            continue
        together = len(members[a]) + len(members[b])
        if -priority != _affinity(links[a][b], members[a], members[b]):
            continue  # an older, smaller self of one of them
        if together > size or mass[a] + mass[b] > most:
            continue
        members[a] += members.pop(b)
        mass[a] += mass.pop(b)
        for c, n in _join(links, a, b).items():
            heapq.heappush(queue, (-_affinity(n, members[a], members[c]), a, c))
    labels = np.empty(codes, np.int32)
    for label, group in enumerate(members.values()):
        labels[group] = label
    return labels


def forgiven(confusion: csr_array, labels: Ints) -> float:
    """The share of all mistakes that stay inside a cluster, and so keep their colour."""
    counts = confusion.tocoo()
    mistakes = counts.row != counts.col
    inside = labels[counts.row] == labels[counts.col]
    total = counts.data[mistakes].sum()
    return float(counts.data[mistakes & inside].sum() / total) if total else 1.0


def _affinity(links: float, one: list[int], other: list[int]) -> float:
    return links / math.sqrt(len(one) * len(other))


def _links(confusion: csr_array) -> dict[int, dict[int, float]]:
    """Mistakes either way between two codes, without the diagonal."""
    both = (confusion + confusion.T).tocoo()
    links: dict[int, dict[int, float]] = {code: {} for code in range(confusion.shape[0])}
    for a, b, n in zip(both.row.tolist(), both.col.tolist(), both.data.tolist(), strict=True):
        if a != b and n > 0:
            links[a][b] = float(n)
    return links


def _join(links: dict[int, dict[int, float]], a: int, b: int) -> dict[int, float]:
    """Give a the links of b; returns all links of a."""
    for c, n in links.pop(b).items():
        if c == a:
            continue
        links[a][c] = links[c][a] = links[a].get(c, 0.0) + n
        del links[c][b]
    del links[a][b]
    return links[a]
