"""Deltas of the data folder: signed here, whole, of this model, or not applied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from generators.catalog import GENERATORS, Generator
from generators.erasing.delta import BadDelta, write_delta
from generators.raster import RasterConfig, RasterModel, RasterTransformer
from generators.text import load_text
from provenance.policies import EVERY, Concept, Effective, Version
from tests.workers.shops import Shop, opened
from tests.workers.toys import generator
from workers.eraser import DELTAS, MOST_DELTAS, Eraser, keep_delta, load_delta, places
from workers.erasing import CannotApply

SMALL = RasterConfig(codes=32, side=4, dim=64, layers=1, heads=2, hidden=96)
MATRIX = "layers.0.caption.weight"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path) as made:
        yield made


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator:
    toy = generator(tmp_path)[0]
    monkeypatch.setitem(GENERATORS, "small", toy.spec)
    torch.manual_seed(0)
    return replace(toy, name="small", model=RasterModel(RasterTransformer(SMALL), load_text()))


def data(generator: Generator, seed: int = 1) -> bytes:
    rng = torch.Generator().manual_seed(seed)
    pair = torch.randn(2, 64, generator=rng), torch.randn(64, 2, generator=rng)
    return write_delta(generator.spec.transformer.digest, "erases: gun", {}, {MATRIX: pair})


def policy(*deltas: str) -> Effective:
    concepts = tuple(Concept(f"c{n}", ("a gun",), delta=one) for n, one in enumerate(deltas))
    made = datetime(2026, 1, 1, tzinfo=UTC)
    return Effective((Version(EVERY, EVERY, 1, concepts, 3, b"d" * 32, "me", made),))


def weight(generator: Generator) -> torch.Tensor:
    assert isinstance(generator.model, RasterModel)
    return generator.model.transformer.get_parameter(MATRIX)


def test_a_kept_delta_is_applied_for_a_policy_and_gone_without(
    shop: Shop, small: Generator
) -> None:
    delta = keep_delta(shop.folder, data(small), name="d", model="small")
    assert [one.stem for one in places(shop.folder)] == [delta.digest.hex()]
    before, eraser = weight(small).detach().clone(), Eraser(shop.folder)
    rules = eraser.rules(policy(delta.digest.hex()), small)
    assert rules.deltas == (delta.digest,)
    assert not torch.equal(weight(small), before)
    assert eraser.rules(policy(), small).deltas == ()
    assert torch.equal(weight(small), before)


def test_a_delta_that_was_touched_is_not_applied_and_none_else_stays(
    shop: Shop, small: Generator
) -> None:
    good = keep_delta(shop.folder, data(small, 1), name="d", model="small")
    bad = keep_delta(shop.folder, data(small, 2), name="d", model="small")
    file = shop.folder.path / DELTAS / f"{bad.digest.hex()}.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    before, eraser = weight(small).detach().clone(), Eraser(shop.folder)
    eraser.rules(policy(good.digest.hex()), small)
    with pytest.raises(BadDelta, match="was altered"):
        eraser.rules(policy(good.digest.hex(), bad.digest.hex()), small)
    assert torch.equal(weight(small), before)


def test_a_delta_nobody_here_signed_is_not_applied(shop: Shop, small: Generator) -> None:
    one = keep_delta(shop.folder, data(small, 1), name="d", model="small")
    other = keep_delta(shop.folder, data(small, 2), name="d", model="small")
    place = shop.folder.path / DELTAS
    notes = [place / f"{delta.digest.hex()}.note" for delta in (one, other)]
    notes[0].write_bytes(notes[1].read_bytes())
    with pytest.raises(BadDelta, match="signs another delta"):
        load_delta(shop.folder, one.digest.hex())
    notes[0].write_bytes(notes[1].read_bytes().replace(b"\n\n", b"\nmore\n\n"))
    with pytest.raises(BadDelta, match="does not sign the delta"):
        load_delta(shop.folder, one.digest.hex())
    notes[0].unlink()
    with pytest.raises(BadDelta, match="is not in"):
        load_delta(shop.folder, one.digest.hex())


def test_a_delta_of_another_model_is_not_kept(shop: Shop, small: Generator) -> None:
    with pytest.raises(BadDelta, match="was trained on weights .*, icons-128 has"):
        keep_delta(shop.folder, data(small), name="d", model="icons-128")
    assert places(shop.folder) == []


def test_a_model_that_takes_no_deltas_fails_the_policy(shop: Shop, tmp_path: Path) -> None:
    toy = generator(tmp_path)[0]
    with pytest.raises(CannotApply, match="the model toy takes no deltas"):
        Eraser(shop.folder).rules(policy("ab" * 32), toy)


def test_more_deltas_than_a_record_can_name_are_refused(shop: Shop, small: Generator) -> None:
    many = [f"{n:064x}" for n in range(MOST_DELTAS + 1)]
    with pytest.raises(CannotApply, match="at most 5 fit"):
        Eraser(shop.folder).rules(policy(*many), small)
