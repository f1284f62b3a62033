"""Every code has one partner, near the best there is; files of other codecs are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import rustworkx as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from provenance.watermark import matching
from provenance.watermark.errors import BadMatching, CodecMismatch
from provenance.watermark.matching import Matching, Metric, match_codes

DIGEST = b"\x07" * 32


def codebook(codes: int, dim: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((codes, dim)).astype(np.float32)


def best_total(vectors: NDArray[np.float32]) -> float:
    """The largest total cosine of any perfect matching, over the complete graph."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    graph = rx.PyGraph()
    graph.add_nodes_from(range(len(unit)))
    graph.add_edges_from(
        [(a, b, int((cosine[a, b] + 1) * 1e6)) for a in range(len(unit)) for b in range(a)]
    )
    pairs = rx.max_weight_matching(graph, max_cardinality=True, weight_fn=int)
    return float(sum(cosine[a, b] for a, b in pairs))


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 99))
def test_every_code_has_one_partner(half: int, dim: int, seed: int) -> None:
    made = match_codes(codebook(2 * half, dim, seed), Metric.L2)
    assert (made.partner[made.partner] == np.arange(2 * half)).all()
    assert (made.partner != np.arange(2 * half)).all()


def test_a_small_codebook_is_matched_as_well_as_can_be() -> None:
    vectors = codebook(120, 4, 1)
    total = match_codes(vectors, Metric.COSINE).similarity.sum() / 2
    assert total == pytest.approx(best_total(vectors), abs=1e-3)


def test_cells_lose_little_of_the_best_matching(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = codebook(240, 4, 2)
    exact = match_codes(vectors, Metric.COSINE)
    monkeypatch.setattr(matching, "CELL", 60)
    cut = match_codes(vectors, Metric.COSINE)
    assert exact.mean - 0.005 < cut.mean <= exact.mean + 1e-5
    assert cut.worst > exact.worst - 0.1


def test_codes_that_nobody_is_near_widen_the_search() -> None:
    clumps = codebook(3, 8, 3).repeat(7, 0) * 100 + codebook(21, 8, 4)
    vectors = np.vstack([clumps, -clumps[:1]])
    made = match_codes(vectors, Metric.L2, neighbours=2)
    assert (made.partner[made.partner] == np.arange(22)).all()


def test_the_metric_decides_who_is_near() -> None:
    vectors = np.array([[1, 0], [9, 0.5], [1, 1], [9, 9]], np.float32)
    assert match_codes(vectors, Metric.COSINE).partner.tolist() == [1, 0, 3, 2]
    assert match_codes(vectors, Metric.L2).partner.tolist() == [2, 3, 0, 1]


def test_the_bound_spares_the_worst_pair_at_the_cost_of_the_mean() -> None:
    vectors = np.array([[-0.16, 0], [0.16, 0], [-1.5, 1.79], [1.5, 1.79]], np.float32)
    free = match_codes(vectors, Metric.L2)
    bounded = match_codes(vectors, Metric.L2, bound=-6)
    assert free.partner.tolist() == [1, 0, 3, 2]
    assert bounded.partner.tolist() == [2, 3, 0, 1]
    assert free.worst < -6 < bounded.worst
    assert free.mean > bounded.mean


def test_the_same_vectors_have_the_same_matching(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "CELL", 50)
    vectors = codebook(200, 6, 5)
    first, second = (match_codes(vectors, Metric.COSINE) for _ in range(2))
    assert np.array_equal(first.partner, second.partner)


@pytest.mark.parametrize(
    "vectors",
    [np.ones((3, 2)), np.ones(4), np.ones((0, 2)), np.array([[1, 0], [np.nan, 1]])],
)
def test_what_cannot_be_paired_is_refused(vectors: NDArray[np.float64]) -> None:
    with pytest.raises(BadMatching):
        match_codes(vectors.astype(np.float32), Metric.L2)


def test_a_zero_code_has_no_angle() -> None:
    with pytest.raises(BadMatching, match="code 1"):
        match_codes(np.array([[1, 0], [0, 0]], np.float32), Metric.COSINE)


def test_a_saved_matching_comes_back_for_its_own_codec_alone(tmp_path: Path) -> None:
    made = match_codes(codebook(10, 3, 6), Metric.COSINE)
    path = tmp_path / "m.safetensors"
    made.save(path, DIGEST)
    back = matching.load(path, DIGEST)
    assert np.array_equal(back.partner, made.partner)
    assert np.array_equal(back.similarity, made.similarity)
    with pytest.raises(CodecMismatch, match="07070707"):
        matching.load(path, b"\x08" * 32)


@pytest.mark.parametrize("keep", [0, 5, -1])
def test_a_cut_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "m.safetensors"
    match_codes(codebook(10, 3, 6), Metric.COSINE).save(path, DIGEST)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadMatching, match=r"m\.safetensors"):
        matching.load(path, DIGEST)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadMatching, match="nothing"):
        matching.load(tmp_path / "nothing", DIGEST)


def test_official_pair_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "codebook_pairs.json"
    path.write_text(json.dumps([[0, 2], [1, 3]]))
    vectors = np.array([[1, 0], [0, 1], [2, 0], [1, 1]], np.float32)
    read = matching.read_pairs(path, vectors, Metric.COSINE)
    assert read.partner.tolist() == [2, 3, 0, 1]
    assert read.similarity == pytest.approx([1, 0.5**0.5, 1, 0.5**0.5])


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "[[0, 1]]", "[[0, 1], [2, 2]]", "[[0, 1], [2, 4]]", "[[0, 1], [2, 3.5]]"],
)
def test_a_pair_file_that_does_not_pair_the_codebook_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pairs.json"
    path.write_text(text)
    with pytest.raises(BadMatching, match=r"pairs\.json"):
        matching.read_pairs(path, codebook(4, 2, 0), Metric.L2)


@pytest.mark.parametrize("partner", [[0, 1], [1, 2, 0, 3], [1, 0, 2], [5, 0]])
def test_partners_must_be_mutual(partner: list[int]) -> None:
    with pytest.raises(BadMatching):
        Matching(np.array(partner, np.int32), np.zeros(len(partner), np.float32))
