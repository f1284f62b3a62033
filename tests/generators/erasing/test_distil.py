from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from generators.erasing.delta import Applied, read_delta, write_delta
from generators.erasing.distil import (
    CannotErase,
    Method,
    Pictures,
    Recipe,
    divergence,
    erase,
    matrices,
    shaken,
)
from generators.erasing.ear import EarRecipe, train
from generators.raster import RasterConfig, RasterTransformer

SMALL = RasterConfig(codes=32, side=4, dim=64, layers=2, heads=2, hidden=96)
RECIPE = Recipe(steps=25, batch=4, rank=4, rate=1e-2, shake=0.2)


def captions(count: int, seed: int) -> torch.Tensor:
    return F.normalize(
        torch.randn(count, 2, 384, generator=torch.Generator().manual_seed(seed)), dim=-1
    )


def pictures(seed: int, *, like: torch.Tensor | None = None) -> Pictures:
    rng = torch.Generator().manual_seed(seed)
    subject = captions(1, seed).expand(6, -1, -1) if like is None else like
    return Pictures(subject.clone(), torch.randint(32, (6, 16), generator=rng))


@pytest.fixture
def transformer() -> RasterTransformer:
    torch.manual_seed(0)
    return RasterTransformer(SMALL).eval()


def divergences(model: RasterTransformer, before: torch.Tensor, drawn: Pictures) -> torch.Tensor:
    with torch.inference_mode():
        return divergence(before, logp(model, drawn))


def logp(model: RasterTransformer, drawn: Pictures) -> torch.Tensor:
    with torch.inference_mode():
        embedded = model.tok_embeddings(drawn.tokens[:, :-1])
        told: torch.Tensor = model(drawn.captions, embedded).log_softmax(-1)
    return told


@pytest.mark.parametrize("method", list(Method))
def test_the_concept_changes_and_what_is_kept_does_not(
    transformer: RasterTransformer, method: Method
) -> None:
    harmful, kept = pictures(1), pictures(2)
    without = harmful.captions.clone()
    without[:, 0] = 0
    neutral = pictures(3, like=without)
    before = {name: p.detach().clone() for name, p in transformer.named_parameters()}
    told = [logp(transformer, one) for one in (harmful, kept)]
    pairs = erase(transformer, harmful, neutral, kept, replace(RECIPE, method=method))
    for name, p in transformer.named_parameters():
        assert torch.equal(p, before[name]), "training changes nothing but the delta"
    delta = read_delta(write_delta(b"b" * 32, "erases: x", {}, pairs), name="d")
    Applied(transformer, b"b" * 32).apply([delta])
    moved, held = (
        float(divergences(transformer, was, one))
        for was, one in zip(told, (harmful, kept), strict=True)
    )
    assert moved > 3 * held
    assert moved > 0.01


def test_the_same_recipe_gives_the_same_delta(transformer: RasterTransformer) -> None:
    given = pictures(1), pictures(3), pictures(2)
    short = replace(RECIPE, steps=3)
    first, second = (erase(transformer, *given, short) for _ in range(2))
    for name in first:
        assert all(torch.equal(a, b) for a, b in zip(first[name], second[name], strict=True))
    assert set(first) == set(matrices(transformer))


def test_without_pictures_there_is_nothing_to_learn(transformer: RasterTransformer) -> None:
    none = Pictures(torch.zeros(0, 2, 384), torch.zeros(0, 16, dtype=torch.int64))
    with pytest.raises(CannotErase, match="0 pictures of the concept"):
        erase(transformer, none, none, pictures(1), RECIPE)
    with pytest.raises(CannotErase, match="could take everything"):
        erase(transformer, pictures(1), pictures(2), none, RECIPE)


def test_only_clauses_that_are_not_the_neutral_ones_are_shaken() -> None:
    given = captions(5, 1)
    neutral = given.clone()
    neutral[:, 0] = 0
    moved = shaken(given, neutral, 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(moved[:, 1], given[:, 1])
    assert not torch.equal(moved[:, 0], given[:, 0])
    torch.testing.assert_close(moved.norm(dim=-1), torch.ones(5, 2))
    assert ((moved[:, 0] * given[:, 0]).sum(-1) > 0.8).all()


def test_divergence_is_zero_of_the_same_and_known_of_others() -> None:
    p = torch.tensor([[[0.5, 0.5]]]).log()
    q = torch.tensor([[[0.25, 0.75]]]).log()
    assert divergence(p, p).item() == 0
    assert divergence(p, q).item() == pytest.approx(0.1438, abs=1e-4)


def test_ear_trains_the_attention_of_the_first_blocks_alone(
    transformer: RasterTransformer,
) -> None:
    student = RasterTransformer(SMALL).eval()
    student.load_state_dict(transformer.state_dict())
    pair = captions(2, 4)
    steps = train(transformer, student, [(pair[0], pair[1])], EarRecipe(window=4, threshold=0.0))
    assert steps == 4
    changed = {
        name
        for name, p in student.named_parameters()
        if not torch.equal(p, transformer.get_parameter(name))
    }
    assert changed
    assert all(".attention." in name for name in changed)
    same = RasterTransformer(SMALL)
    same.load_state_dict(transformer.state_dict())
    assert train(transformer, same, [(pair[0], pair[1])], EarRecipe(window=4, threshold=1e9)) == 0
