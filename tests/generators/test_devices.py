"""A generator computes where it is told to, and what leaves it is on the processor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from generators import catalog
from generators.devices import CPU, NoDevice, PlacedCodec, find_device
from generators.interface import Codebook, Codec, DiscreteModel, Reading
from generators.raster import RasterConfig, RasterRun, RasterTransformer
from tests.workers import toys

META = torch.device("meta")  # tensors without contents: whatever mixes devices fails
SMALL = RasterConfig(codes=16, side=2, dim=16, layers=2, heads=2, hidden=16, canvas=2)


def test_the_processor_is_always_there() -> None:
    assert find_device("cpu") == CPU


@pytest.mark.parametrize("name", ["meta", "xpu", "nonsense", "cuda:999"])
def test_a_device_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(NoDevice, match=name):
        find_device(name)


class Elsewhere:
    """A codec that takes only tensors of its device."""

    codes = Codebook(torch.zeros(4, 2), "l2")

    def encode(self, pixels: Tensor) -> Tensor:
        return self._taken(pixels)

    def read(self, pixels: Tensor) -> Reading:
        one = Reading(self._taken(pixels), self._taken(pixels))
        return one._replace(coarser=(one,))

    def find(self, pixels: Tensor) -> Tensor:
        return self._taken(pixels)

    def decode(self, tokens: Tensor) -> Tensor:
        return self._taken(tokens)

    def _taken(self, given: Tensor) -> Tensor:
        assert given.device == META
        return torch.full(given.shape, 7.0)


def test_a_placed_codec_takes_and_gives_tensors_of_the_processor() -> None:
    codec: Codec = PlacedCodec(Elsewhere(), META)
    given = torch.zeros(1, 3, 8, 8)
    read = codec.read(given)
    found = [codec.encode(given), codec.find(given), codec.decode(given)]
    found += [read.tokens, read.margin, read.coarser[0].tokens, read.coarser[0].margin]
    assert all(one.device == CPU and one.eq(7).all() for one in found)
    assert codec.codes.vectors.device == CPU


def test_load_generator_puts_model_and_codec_on_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = toys.generator(tmp_path)[0]
    placed: list[torch.device] = []

    def model(_: catalog.Weights, device: torch.device) -> DiscreteModel:
        placed.append(device)
        return made.model

    def codec(_: catalog.Weights, __: catalog.Weights, device: torch.device) -> Codec:
        placed.append(device)
        return Elsewhere()

    spec = replace(made.spec, build_model=model, build_codec=codec)
    monkeypatch.setitem(catalog.GENERATORS, "toy", spec)
    there, here = (catalog.load_generator("toy", device=one) for one in (META, CPU))
    assert placed == [META, META, CPU, CPU]
    assert isinstance(there.codec, PlacedCodec)
    assert not isinstance(here.codec, PlacedCodec)
    assert isinstance(catalog.load_codec("toy"), Elsewhere)
    assert placed[-1] == CPU


@torch.inference_mode()
def test_a_raster_model_computes_on_one_device_alone() -> None:
    transformer = RasterTransformer(SMALL).to(META)
    run = RasterRun(transformer, torch.zeros(3, SMALL.prefix, SMALL.caption_dim, device=META))
    for _ in range(SMALL.side**2):
        proposal = run.propose()
        assert proposal is not None
        assert proposal.logits.device == META
        chosen = torch.zeros(3, 1, dtype=torch.int64)  # sampled on the processor
        run.commit(chosen, chosen)
    assert run.propose() is None
    assert run.tokens().device == META
