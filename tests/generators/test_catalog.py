import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

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
    assert len(files) == 3
    for weights in files:
        data = (WEIGHTS / weights.file).read_bytes()
        assert hashlib.sha256(data).digest() == weights.digest


@pytest.mark.parametrize(("name", "most"), [("icons-128", 40e6), ("icons-128-scales", 27e6)])
def test_the_weights_of_a_model_stay_within_their_budget(name: str, most: float) -> None:
    spec = GENERATORS[name]
    files = {w.file for w in (spec.transformer, spec.codec, spec.reader)} | {spec.pairs}
    assert sum((WEIGHTS / file).stat().st_size for file in files) <= most


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
    spec = GENERATORS["icons-128"]
    with pytest.raises(BadWeights, match="does not fit"):
        load_into(VQCodec(VQConfig(coarse=64)), spec.codec, spec.reader)


def test_a_codec_without_its_reader_is_refused() -> None:
    spec = GENERATORS["icons-128"]
    with pytest.raises(BadWeights, match=r"icons-128-codec\.safetensors does not fit"):
        load_into(VQCodec(VQConfig()), spec.codec)


def test_the_codec_is_in_single_precision_and_fixed() -> None:
    codec = load_codec("icons-128")
    assert isinstance(codec, VQCodec)
    for parameter in codec.parameters():
        assert parameter.dtype == torch.float32
        assert not parameter.requires_grad


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownGenerator, match=r"'llama'; there are: icons-128"):
        find("llama")


def drawing_tokens(codec: VQCodec, tokens: int) -> torch.Tensor:
    """The tokens (2, n, n) of two smooth pictures."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 6, 6, generator=rng) * 0.6 + 0.1
    return codec.encode(F.interpolate(coarse, (8 * tokens, 8 * tokens), mode="bicubic"))


@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 0), (0, 5), (6, 2)])
def test_the_finder_finds_the_grid_of_a_moved_picture(top: int, left: int) -> None:
    codec = load_codec("icons-128")
    assert isinstance(codec, VQCodec)
    pixels = codec.decode(drawing_tokens(codec, 18))
    moved = pixels[:, :, 8 - top : 136 - top, 8 - left : 136 - left]
    assert codec.find(moved).argmax(1).tolist() == [8 * top + left] * 2


def test_the_reader_reads_what_was_decoded() -> None:
    codec = load_codec("icons-128")
    assert isinstance(codec, VQCodec)
    tokens = drawing_tokens(codec, 16)
    assert (codec.read(codec.decode(tokens)).tokens == tokens).float().mean() > 0.9
