"""The embedded member: what it loads, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from provenance.forensics.member import WEIGHTS, BadMember, load_embedded, look
from tests.provenance.forensics.scenes import scene


def test_both_parts_add_up_and_the_map_to_the_score() -> None:
    member = load_embedded()
    scores = look(member, scene(0, 300, 200))
    seen = member.transform(scene(0, 300, 200))
    cut = np.stack([seen[:, y : y + 128, x : x + 128] for y, x in scores.places])
    parts = np.stack([member.spectral(cut), member.residual(cut)], axis=1)
    assert scores.logits == pytest.approx(parts @ member.parts + member.constant)
    assert scores.score == pytest.approx(scores.logits.mean())
    assert len({round(float(one), 6) for one in scores.logits}) > 1


def test_it_is_small_and_named_by_its_weights() -> None:
    assert WEIGHTS.stat().st_size < 30 * 2**20
    assert load_embedded().name.startswith("spectra+residual/1 ")


def test_a_part_cannot_speak_against_a_drawing_by_its_weight(tmp_path: Path) -> None:
    tensors = load_file(WEIGHTS)
    tensors["sum.weight"][1] = -0.1
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(BadMember, match="none is below 0"):
        load_embedded(tmp_path / "w.safetensors")


def test_weights_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(BadMember, match="w.safetensors"):
        load_embedded(path)
    path.write_bytes(WEIGHTS.read_bytes()[:1000])
    with pytest.raises(BadMember, match="not the embedded member's weights"):
        load_embedded(path)
    tensors = load_file(WEIGHTS)
    del tensors["residual.head.bias"]
    save_file(tensors, path)
    with pytest.raises(BadMember, match=r"head\.bias"):
        load_embedded(path)
