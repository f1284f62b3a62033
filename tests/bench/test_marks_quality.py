from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.marks import quality
from bench.marks.drawings import bench_key, unmarked
from generators.sampling import Request, Unerased, draw
from tests.workers.toys import generator
from workers.marking import Kind, request_id


def dark(pixels: Tensor, things: list[str]) -> np.ndarray:
    """A caption is met by pictures that are not bright."""
    return (pixels.mean((1, 2, 3)) > 0.6).long().numpy() * 3


def test_drawings_like_the_unmarked_ones_change_nothing_and_others_do(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    plain = unmarked(tmp_path, toy, 8).drawings
    real = [d.pixels for d in unmarked(tmp_path, toy, 12).drawings]
    same = quality.table(toy, marker, [(d, d) for d in plain], real, dark, forced=2)
    assert [row[0] for row in same.rows] == [
        "own caption nearest",
        "own caption among the 5 nearest",
        "Frechet distance to real icons, codec space",
        "PSNR of index swap, same tokens",
        "PSNR of trade, same tokens",
    ]
    assert [row[4] for row in same.rows[:3]] == ["+0.0% (+0.0% to +0.0%)"] * 3
    assert {row[5] for row in same.rows} == {"met"}
    brighter = [(replace(d, pixels=np.sqrt(d.pixels)), d) for d in plain]
    changed = quality.table(toy, marker, brighter, real, dark, forced=1)
    assert [row[5] for row in changed.rows] == ["missed", "met", "missed", "met", "met"]


def test_the_frechet_distance_of_normal_samples_is_the_formula_s() -> None:
    rng = np.random.default_rng(0)
    one = rng.standard_normal((20_000, 3))
    other = rng.standard_normal((20_000, 3)) * 2 + 1
    assert quality.frechet(one, one) == pytest.approx(0, abs=1e-9)
    assert quality.frechet(one, other) == pytest.approx(3 + 3, rel=0.05)


def test_forcing_feeds_the_drawing_s_tokens_and_swaps_each(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    (drawing,) = unmarked(tmp_path, toy, 1).drawings
    each = quality.kept_psnr(toy, marker, [drawing], Kind.SWAP)
    identity = request_id(toy.name, drawing.prompt, drawing.seed)
    mark = marker.watermark(Kind.SWAP, bench_key(), identity, delta=0)
    green = mark.scheme.green(bench_key(), mark.list_index)
    swapped = np.where(green[drawing.tokens], drawing.tokens, drawing.tokens ^ 1)
    hook = quality.Forced(mark, drawing)
    wish = Request(drawing.prompt, drawing.seed + 1)
    (again,) = draw(toy.model, toy.codec, [wish], erasures=[Unerased()], watermarks=[hook])
    assert np.array_equal(again.tokens, drawing.tokens)
    assert np.array_equal(hook.swapped.numpy(), swapped.ravel())
    moved = (swapped != drawing.tokens).mean()
    assert 0.3 < moved < 0.7
    assert each == pytest.approx([-10 * np.log10(moved / 255**2)], abs=0.01)


def test_features_are_the_mean_vectors_of_the_quarters(tmp_path: Path) -> None:
    toy, _ = generator(tmp_path)
    picture = np.zeros((3, 128, 128), np.float32)
    picture[:, :64, 64:] = 1
    assert quality.features(toy.codec, [picture]).tolist() == [[-1, 1, -1, -1]]
    assert torch.get_num_threads() >= 1
