import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch

from generators.catalog import (
    GENERATORS,
    WEIGHTS,
    BadWeights,
    UnknownGenerator,
    Weights,
    find,
    load_codec,
    load_into,
)
from generators.codecs.vq import VQCodec, VQConfig


@pytest.mark.parametrize("spec", GENERATORS.values(), ids=GENERATORS)
def test_every_file_of_the_catalog_is_there_and_has_its_digest(spec: object) -> None:
    assert dataclasses.is_dataclass(spec)
    files = [v for v in vars(spec).values() if isinstance(v, Weights)]
    assert len(files) == 2
    for weights in files:
        data = (WEIGHTS / weights.file).read_bytes()
        assert hashlib.sha256(data).digest() == weights.digest


def test_all_weights_stay_within_their_budget() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.glob("*.safetensors")) <= 40e6


def test_one_changed_byte_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = GENERATORS["icons-128"].codec
    data = bytearray((WEIGHTS / weights.file).read_bytes())
    data[-1] ^= 1
    (tmp_path / weights.file).write_bytes(data)
    monkeypatch.setattr("generators.catalog.WEIGHTS", tmp_path)
    with pytest.raises(BadWeights, match="the catalog expects"):
        load_codec("icons-128")


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generators.catalog.WEIGHTS", tmp_path)
    with pytest.raises(BadWeights, match=r"icons-128-codec\.safetensors: No such file"):
        load_codec("icons-128")


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(BadWeights, match="does not fit"):
        load_into(VQCodec(VQConfig(coarse=64)), GENERATORS["icons-128"].codec)


def test_the_codec_is_in_single_precision_and_fixed() -> None:
    codec = load_codec("icons-128")
    assert isinstance(codec, VQCodec)
    for parameter in codec.parameters():
        assert parameter.dtype == torch.float32
        assert not parameter.requires_grad


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownGenerator, match=r"'llama'; there are: icons-128"):
        find("llama")
