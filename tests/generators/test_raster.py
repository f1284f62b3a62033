import pytest
import torch

from generators.raster import RasterConfig, RasterRun, RasterTransformer, rotations, turn

SMALL = RasterConfig(codes=64, side=4, dim=64, layers=2, heads=2, hidden=96)


@pytest.fixture(scope="module")
def transformer() -> RasterTransformer:
    torch.manual_seed(0)
    return RasterTransformer(SMALL).eval()


def teacher(run: RasterRun, tokens: torch.Tensor) -> torch.Tensor:
    """Logits (2, B, T, V) of a run that is fed the tokens (B, T)."""
    seen = []
    with torch.inference_mode():
        while (proposal := run.propose()) is not None:
            seen.append(proposal.logits[:, :, 0])
            step = tokens[:, proposal.site.step][:, None]
            run.commit(step, step)
    return torch.stack(seen, 2)


def test_cached_logits_equal_those_of_one_pass(transformer: RasterTransformer) -> None:
    captions = torch.randn(2, 2, 384)
    tokens = torch.randint(64, (2, 16))
    cached = teacher(RasterRun(transformer, captions), tokens)
    with torch.inference_mode():
        embedded = transformer.tok_embeddings(tokens[:, :-1])
        whole = transformer(captions, embedded)
    torch.testing.assert_close(cached[0], whole, rtol=1e-4, atol=1e-5)


def test_the_branch_without_prompt_does_not_see_it(transformer: RasterTransformer) -> None:
    tokens = torch.randint(64, (2, 16))
    tokens[1] = tokens[0]
    logits = teacher(RasterRun(transformer, torch.randn(2, 2, 384)), tokens)
    assert torch.equal(logits[1, 0], logits[1, 1])
    assert not torch.equal(logits[0, 0], logits[0, 1])


@pytest.mark.parametrize("mates", [0, 1, 2, 3, 5, 7])
def test_logits_do_not_depend_on_batch_mates(transformer: RasterTransformer, mates: int) -> None:
    captions, tokens = torch.randn(8, 2, 384), torch.randint(64, (8, 16))
    alone = teacher(RasterRun(transformer, captions[:1]), tokens[:1])
    among = teacher(RasterRun(transformer, captions[: mates + 1]), tokens[: mates + 1])
    assert torch.equal(alone[:, 0], among[:, 0])


@pytest.mark.parametrize("branches", [[0], [0, 0], [0, 1, 1], [0, 0, 0, 1, 1]])
def test_branches_against_change_no_other_logits(
    transformer: RasterTransformer, branches: list[int]
) -> None:
    captions, tokens = torch.randn(2, 2, 384), torch.randint(64, (2, 16))
    against = torch.randn(len(branches), 2, 384)
    plain = teacher(RasterRun(transformer, captions), tokens)
    beside = teacher(RasterRun(transformer, captions, against, branches), tokens)
    assert torch.equal(plain, beside)


def test_a_branch_against_goes_over_the_tokens_of_its_request(
    transformer: RasterTransformer,
) -> None:
    captions, tokens = torch.randn(3, 2, 384), torch.randint(64, (3, 16))
    run = RasterRun(transformer, captions, captions[:2], [2, 0])
    seen = []
    with torch.inference_mode():
        while (proposal := run.propose()) is not None:
            assert proposal.against.shape == (2, 1, 64)
            seen.append(proposal.against[:, 0])
            step = tokens[:, proposal.site.step][:, None]
            run.commit(step, step)
        embedded = transformer.tok_embeddings(tokens[[2, 0], :-1])
        whole = transformer(captions[:2], embedded)
    torch.testing.assert_close(torch.stack(seen, 1), whole, rtol=1e-4, atol=1e-5)


def test_a_later_token_never_changes_earlier_logits(transformer: RasterTransformer) -> None:
    captions, tokens = torch.randn(1, 2, 384), torch.randint(64, (1, 15))
    other = tokens.clone()
    other[0, 9] = (other[0, 9] + 1) % 64
    with torch.inference_mode():
        first, second = (
            transformer(captions, transformer.tok_embeddings(t)) for t in (tokens, other)
        )
    assert torch.equal(first[:, :10], second[:, :10])
    assert not torch.equal(first[:, 10:], second[:, 10:])


def test_turning_depends_on_row_and_column_distance_only() -> None:
    rotation = rotations(SMALL)[SMALL.prefix :]
    q, k = torch.randn(32), torch.randn(32)

    def score(a: int, b: int) -> torch.Tensor:
        turned = [turn(x.expand(1, 1, 1, 32), rotation[i : i + 1]) for x, i in ((q, a), (k, b))]
        return (turned[0] * turned[1]).sum()

    assert score(0, 5).item() == pytest.approx(
        score(10, 15).item(), rel=1e-4
    )  # one down, one right
    assert score(0, 5).item() != pytest.approx(score(0, 6).item(), rel=1e-3)
