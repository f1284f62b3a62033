"""Confused codes end in one cluster, within bounds on codes and use."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from provenance.watermark.confusion import cluster_codes, count_confusion, forgiven
from provenance.watermark.errors import BadColouring


def confused(groups: int, size: int, times: int = 40) -> tuple[NDArray[np.int64], ...]:
    """Draws that are read as another code of their group half of the time, and rarely outside."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, groups * size, groups * size * times)
    inside = drawn // size * size + rng.integers(0, size, len(drawn))
    outside = rng.integers(0, groups * size, len(drawn))
    read = np.where(rng.random(len(drawn)) < 0.5, inside, drawn)
    return drawn, np.where(rng.random(len(drawn)) < 0.05, outside, read)


def test_counts_are_of_drawn_then_read() -> None:
    counts = count_confusion(np.array([[0, 1], [1, 2]]), np.array([[0, 2], [2, 1]]), 4)
    assert counts.toarray().tolist() == [[1, 0, 0, 0], [0, 0, 2, 0], [0, 1, 0, 0], [0] * 4]


def test_groups_that_are_confused_become_the_clusters() -> None:
    drawn, read = confused(16, 4)
    labels = cluster_codes(count_confusion(drawn, read, 64), size=4, share=0.1)
    assert all(len(set(labels[g * 4 : g * 4 + 4])) == 1 for g in range(16))
    assert labels.max() == 15


def test_clusters_forgive_mistakes_that_were_not_counted() -> None:
    drawn, read = confused(32, 4)
    half = len(drawn) // 2
    labels = cluster_codes(count_confusion(drawn[:half], read[:half], 128), size=4, share=0.1)
    held_out = count_confusion(drawn[half:], read[half:], 128)
    assert forgiven(held_out, labels) > 0.8
    assert forgiven(held_out, np.arange(128, dtype=np.int32)) == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6), st.sampled_from([0.03, 0.1, 1.0]), st.integers(0, 99))
def test_no_cluster_exceeds_its_bounds(size: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 40, 300) * rng.integers(0, 2, 300)
    read = rng.integers(0, 40, 300)
    labels = cluster_codes(count_confusion(drawn, read, 40), size=size, share=share)
    members = np.bincount(labels)
    use = np.bincount(labels, np.bincount(drawn, minlength=40)) / 300
    assert members.sum() == 40
    assert members.max() <= size
    assert (use[members > 1] <= share + 1e-9).all()


def test_codes_never_confused_stay_alone() -> None:
    same = np.arange(10)
    labels = cluster_codes(count_confusion(same, same, 10), size=4)
    assert sorted(labels.tolist()) == list(range(10))


@pytest.mark.parametrize(
    ("counts", "size", "share"),
    [(np.eye(3)[:2], 2, 0.5), (np.eye(3), 0, 0.5), (np.eye(3), 2, 0.0), (np.eye(3), 2, 1.5)],
)
def test_impossible_bounds_are_refused(
    counts: NDArray[np.float64], size: int, share: float
) -> None:
    with pytest.raises(BadColouring):
        cluster_codes(csr_array(counts), size=size, share=share)


def test_drawn_and_read_must_be_the_same_tokens() -> None:
    with pytest.raises(BadColouring, match="shape"):
        count_confusion(np.arange(3), np.arange(4), 5)
