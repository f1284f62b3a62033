import torch
from torch import Tensor

from generators.interface import Prompt, Site
from generators.pyramid import PyramidModel, PyramidTransformer, PyramidTransformerConfig
from generators.sampling import Request, Sampling, Unerased, Unmarked, draw
from generators.text import TextEncoder

CONFIG = PyramidTransformerConfig(codes=32, code_dim=4, sides=(1, 2, 4), dim=16, layers=2, heads=2)


class Patches:
    """Nothing is drawn but the first code."""

    def decode(self, tokens: Tensor) -> Tensor:
        return (tokens[:, :1, None, None] / 32.0).expand(-1, 3, 8, 8)


def model() -> PyramidModel:
    torch.manual_seed(0)
    book = torch.nn.functional.normalize(torch.randn(32, 4), dim=1)
    return PyramidModel(PyramidTransformer(CONFIG), book, TextEncoder())


class Watching(Unmarked):
    """Notes the logits of every site, and swaps every token for its neighbour."""

    def __init__(self) -> None:
        self.seen: list[tuple[Site, Tensor]] = []

    def swap(self, site: Site, tokens: Tensor, logits: Tensor) -> Tensor:
        self.seen.append((site, logits))
        return (tokens + 1) % 32


def test_drawing_scale_by_scale_gives_the_logits_of_one_pass_over_what_was_kept() -> None:
    small, watching = model(), Watching()
    request = Request("a cat, on a red background", 7, Sampling(guidance=1, temperature=1))
    drawn = draw(small, Patches(), [request], erasures=[Unerased()], watermarks=[watching])[0]  # type: ignore[arg-type]
    tokens, codes, start = torch.from_numpy(drawn.tokens), [], 0
    for side in CONFIG.sides[:-1]:
        grid = tokens[start : start + side * side].reshape(1, side, side)
        codes.append(small.codebook[grid].permute(0, 3, 1, 2))
        start += side * side
    with torch.inference_mode():
        wanted = small.transformer(small.text.prompts([request.prompt]), codes)[0]
    found = torch.cat([logits for _, logits in watching.seen])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert [site.scale for site, _ in watching.seen] == [0, 1, 2]


def test_a_requests_tokens_do_not_depend_on_its_batch_mates() -> None:
    small = model()
    requests = [Request(f"a cat, on a {c} background", n) for n, c in enumerate(("red", "blue"))]
    both = draw(small, Patches(), requests, erasures=[Unerased()] * 2, watermarks=[Unmarked()] * 2)  # type: ignore[arg-type]
    for request, together in zip(requests, both, strict=True):
        alone = draw(small, Patches(), [request], erasures=[Unerased()], watermarks=[Unmarked()])  # type: ignore[arg-type]
        assert alone[0].tokens.tolist() == together.tokens.tolist()


def test_what_is_not_drawn_yet_is_shown_as_the_coarser_token_around_it() -> None:
    shown: list[Tensor] = []
    draw(
        model(),
        Patches(),  # type: ignore[arg-type]
        [Request("a cat", 1)],
        erasures=[Unerased()],
        watermarks=[Unmarked()],
        show=shown.append,
    )
    assert set(shown[0][0].tolist()) == {int(shown[0][0, 0])}
    four = shown[1][0, 1:5].reshape(2, 2)
    assert shown[1][0, 5:].reshape(4, 4).tolist() == (
        four.repeat_interleave(2, 0).repeat_interleave(2, 1).tolist()
    )


def test_a_branch_against_is_what_its_text_alone_would_give() -> None:
    small = model()
    run = small.open([Prompt("a cat"), Prompt("a dog", against=("a gun", "a knife"))])
    first = run.propose()
    gun = small.open([Prompt("a gun")]).propose()
    assert first is not None
    assert gun is not None
    assert first.logits.shape == (2, 2, 1, 32)
    assert first.against.shape == (2, 1, 32)
    torch.testing.assert_close(first.against[0], gun.logits[0, 0])


def test_what_is_projected_out_changes_the_prompts_branch_alone() -> None:
    small = model()
    plain = small.open([Prompt("a cat with a gun")]).propose()
    without = small.open([Prompt("a cat with a gun", without=("a gun",))]).propose()
    assert plain is not None
    assert without is not None
    assert not torch.allclose(plain.logits[0], without.logits[0])
    torch.testing.assert_close(plain.logits[1], without.logits[1])
