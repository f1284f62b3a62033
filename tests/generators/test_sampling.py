from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from generators.guidance import mix
from generators.interface import Codebook, Layout, Prompt, Proposal, Reading, Site
from generators.sampling import (
    BadRequest,
    Drawn,
    Erasure,
    Request,
    Sampling,
    Unerased,
    Unmarked,
    Watermark,
    choose,
    cut,
    draw,
)

CODES = 16


class ToyRun:
    """Logits that depend on the prompt and the token drawn before, so that feeding back shows."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self._prompts = prompts
        self._drawn, self._kept = torch.zeros(2, len(prompts), 4, dtype=torch.int64)
        self._step = 0

    def propose(self) -> Proposal | None:
        if self._step == 4:
            return None
        rows: list[Tensor] = []
        against: list[Tensor] = []
        for row, prompt in enumerate(self._prompts):
            last = int(self._drawn[row, self._step - 1]) if self._step else 0
            rows.append(self._logits(prompt.text, last, 2))
            against += [self._logits(text, last, 1) for text in prompt.against]
        site = Site("image", self._step, 4, None, torch.tensor([self._step]))
        return Proposal(site, torch.stack(rows, 1), torch.cat([torch.zeros(0, 1, CODES), *against]))

    def _logits(self, text: str, last: int, branches: int) -> Tensor:
        seed = torch.Generator().manual_seed(1000 * len(text) + 17 * last + self._step)
        return torch.randn(branches, 1, CODES, generator=seed)

    def commit(self, drawn: Tensor, kept: Tensor) -> None:
        self._drawn[:, self._step] = drawn[:, 0]
        self._kept[:, self._step] = kept[:, 0]
        self._step += 1

    def tokens(self) -> Tensor:
        kept: Tensor = self._kept
        return kept.reshape(-1, 2, 2)


class ToyModel:
    layout = Layout(2, 2)

    def open(self, prompts: Sequence[Prompt]) -> ToyRun:
        return ToyRun(prompts)


class ToyCodec:
    codes = Codebook(torch.eye(CODES), "cosine")

    def encode(self, pixels: Tensor) -> Tensor:
        return (pixels[:, 0] * 255).round().long()

    def read(self, pixels: Tensor) -> Reading:
        tokens = self.encode(pixels)
        return Reading(tokens, torch.ones(tokens.shape))

    def find(self, pixels: Tensor) -> Tensor:
        return torch.full((len(pixels), 64), 1 / 64).log()

    def decode(self, tokens: Tensor) -> Tensor:
        return (tokens / 255.0)[:, None].expand(-1, 3, -1, -1)


class HardGreen:
    """Only even codes may be drawn."""

    def favour(self, site: Site, logits: Tensor) -> Tensor:
        return logits + torch.where(torch.arange(CODES) % 2 == 0, 0.0, -torch.inf)

    def swap(self, site: Site, tokens: Tensor, logits: Tensor) -> Tensor:
        return tokens


class SwapToOdd(Unmarked):
    """Every even token becomes its odd neighbour."""

    def swap(self, site: Site, tokens: Tensor, logits: Tensor) -> Tensor:
        return tokens | 1


class Recorder(Unmarked):
    """Notes what each hook was given."""

    def __init__(self) -> None:
        self.logits: list[Tensor] = []
        self.given: list[Tensor] = []
        self.drawn: list[int] = []

    def favour(self, site: Site, logits: Tensor) -> Tensor:
        self.logits.append(logits)
        return logits + torch.arange(CODES) / 4

    def swap(self, site: Site, tokens: Tensor, logits: Tensor) -> Tensor:
        self.given.append(logits)
        self.drawn.append(int(tokens))
        return (tokens + 1) % CODES


def one(prompt: str, seed: int, mark: Watermark, sampling: Sampling | None = None) -> Drawn:
    request = Request(prompt, seed, sampling or Sampling(2.0, 0.5, CODES, 1.0))
    return draw(ToyModel(), ToyCodec(), [request], erasures=[Unerased()], watermarks=[mark])[0]


def test_draw_marks_every_token_while_it_is_sampled() -> None:
    for seed in range(20):
        assert (one("a fox", seed, HardGreen()).tokens % 2 == 0).all()
        assert (one("a fox", seed, SwapToOdd()).tokens % 2 == 1).all()
    unmarked = np.stack([one("a fox", seed, Unmarked()).tokens for seed in range(20)])
    assert 0 < (unmarked % 2).mean() < 1


def test_the_bias_comes_after_guidance_and_temperature_and_before_the_cuts() -> None:
    recorder = Recorder()
    one("a fox", 3, recorder, Sampling(guidance=3.0, temperature=0.5, top_k=4, top_p=1.0))
    first = ToyRun([Prompt("a fox")]).propose()
    assert first is not None
    conditional, without = first.logits[:, 0]
    torch.testing.assert_close(recorder.logits[0], (without + 3 * (conditional - without)) / 0.5)
    favoured = recorder.logits[0] + torch.arange(CODES) / 4
    torch.testing.assert_close(recorder.given[0], favoured)
    likeliest = set(favoured[0].topk(4).indices.tolist())
    drawn = [Recorder() for _ in range(40)]
    for seed, each in enumerate(drawn):
        one("a fox", seed, each, Sampling(guidance=3.0, temperature=0.5, top_k=4, top_p=1.0))
    assert {each.drawn[0] for each in drawn} == likeliest


def test_the_drawn_token_and_the_swapped_one_are_committed_and_the_swapped_one_decoded() -> None:
    recorder = Recorder()
    drawn = one("a fox", 5, recorder)
    assert drawn.tokens.flatten().tolist() == [(t + 1) % CODES for t in recorder.drawn]
    assert np.array_equal(drawn.pixels[..., 0], drawn.tokens)
    run = ToyRun([Prompt("a fox")])
    run.propose()
    first = torch.tensor([[recorder.drawn[0]]])
    run.commit(first, (first + 1) % CODES)
    second = run.propose()
    assert second is not None
    torch.testing.assert_close(
        recorder.logits[1],
        (second.logits[1, 0] + 2 * (second.logits[0] - second.logits[1])[0]) / 0.5,
    )


def test_a_request_is_drawn_the_same_alone_and_among_others() -> None:
    requests = [
        Request("a fox", 1, Sampling(2.0, 0.9, 8, 0.9)),
        Request("a red apple", 2, Sampling(4.0, 0.3, 3, 1.0)),
        Request("a boat on a lake", 3, Sampling(1.0, 1.5, CODES, 0.7)),
    ]
    marks: list[Watermark] = [HardGreen(), Unmarked(), SwapToOdd()]
    together = draw(
        ToyModel(), ToyCodec(), requests, erasures=[Unerased()] * len(requests), watermarks=marks
    )
    for request, mark, among in zip(requests, marks, together, strict=True):
        alone = draw(ToyModel(), ToyCodec(), [request], erasures=[Unerased()], watermarks=[mark])[0]
        assert np.array_equal(alone.tokens, among.tokens)
        assert among.request == request


def test_the_seed_decides_the_picture() -> None:
    grids = {one("a fox", seed, Unmarked()).tokens.tobytes() for seed in range(30)}
    assert len(grids) > 10
    assert one("a fox", 4, Unmarked()).tokens.tobytes() in grids


def test_cut_keeps_the_likeliest_codes_up_to_top_p() -> None:
    logits = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log()
    assert cut(logits, top_k=4, top_p=0.75)[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0, 0])
    assert cut(logits, top_k=4, top_p=0.76)[0].nonzero().flatten().tolist() == [0, 1, 2]
    assert cut(logits, top_k=1, top_p=1.0)[0].tolist() == [1, 0, 0, 0]
    assert cut(logits, top_k=9, top_p=0.01)[0].tolist() == [1, 0, 0, 0]


def test_choose_draws_each_code_as_often_as_it_is_likely() -> None:
    probabilities = torch.tensor([[0.1, 0.0, 0.6, 0.3]], dtype=torch.float64).expand(20_000, -1)
    tokens = choose(probabilities, torch.Generator().manual_seed(0))
    shares = torch.bincount(tokens, minlength=4) / 20_000
    assert shares.tolist() == pytest.approx([0.1, 0, 0.6, 0.3], abs=0.015)
    assert shares[1] == 0


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_named(seed: int) -> None:
    with pytest.raises(BadRequest, match=f"seed .*{seed}"):
        one("a fox", seed, Unmarked())


def test_every_request_needs_an_erasure_and_a_mark() -> None:
    with pytest.raises(BadRequest, match="1 requests need as many erasures and marks, not 1 and 0"):
        draw(ToyModel(), ToyCodec(), [Request("a fox", 1)], erasures=[Unerased()], watermarks=[])
    with pytest.raises(BadRequest, match="not 0 and 1"):
        draw(ToyModel(), ToyCodec(), [Request("a fox", 1)], erasures=[], watermarks=[Unmarked()])


class Away:
    """Steers away from one text by a strength, and remembers what it was shown."""

    without: tuple[str, ...] = ()

    def __init__(self, *against: str, strength: float) -> None:
        self.against = against
        self._strength = strength
        self.steered: list[Tensor] = []
        self.mixed: list[Tensor] = []
        self.seen: list[tuple[Tensor, int]] = []

    def steer(self, site: Site, logits: Tensor, guidance: float) -> Tensor:
        self.steered.append(logits)
        push = sum((logits[2 + k] - logits[1] for k in range(len(self.against))), logits[0] * 0)
        self.mixed.append(mix(logits[0], logits[1], guidance) - self._strength * push)
        return self.mixed[-1]

    def observe(self, site: Site, logits: Tensor, drawn: Tensor) -> None:
        self.seen.append((logits, int(drawn)))


def test_every_branch_is_of_the_tokens_drawn_so_far_and_of_its_own_text() -> None:
    away = Away("a gun", "two swords", strength=1.0)
    wish = Request("a fox", 3, Sampling(2.0, 1.0, CODES, 1.0))
    draw(ToyModel(), ToyCodec(), [wish], erasures=[away], watermarks=[Unmarked()])
    run = ToyRun([Prompt("a fox", against=away.against)])
    for shown, (observed, token) in zip(away.steered, away.seen, strict=True):
        proposal = run.propose()
        assert proposal is not None
        assert torch.equal(shown, torch.cat([proposal.logits[:, 0], proposal.against]))
        assert observed is shown
        run.commit(torch.tensor([[token]]), torch.tensor([[token]]))


def test_erasure_comes_with_guidance_and_before_temperature_and_the_mark() -> None:
    away, recorder = Away("a gun", strength=2.0), Recorder()
    wish = Request("a fox", 3, Sampling(3.0, 0.5, CODES, 1.0))
    draw(ToyModel(), ToyCodec(), [wish], erasures=[away], watermarks=[recorder])
    for mixed, favoured in zip(away.mixed, recorder.logits, strict=True):
        assert torch.equal(mixed / 0.5, favoured)


def test_an_erasure_sees_the_branches_of_its_own_request() -> None:
    first, second = Away("a gun", strength=1.0), Away("swords", "a bomb", strength=1.0)
    wishes = [Request("a fox", 1), Request("an owl", 2), Request("a red apple", 3)]
    erasures: list[Erasure] = [first, Unerased(), second]
    marks = [Unmarked()] * 3
    among = draw(ToyModel(), ToyCodec(), wishes, erasures=erasures, watermarks=marks)
    for n, erasure in enumerate(erasures):
        (alone,) = draw(
            ToyModel(), ToyCodec(), [wishes[n]], erasures=[erasure], watermarks=[Unmarked()]
        )
        assert np.array_equal(alone.tokens, among[n].tokens)
    assert {len(shown) for shown in first.steered} == {3}
    assert {len(shown) for shown in second.steered} == {4}


@pytest.mark.parametrize(
    ("field", "value"),
    [("guidance", 0.5), ("temperature", 0.0), ("top_k", 0), ("top_p", 0.0), ("top_p", 1.5)],
)
def test_sampling_refuses_what_makes_no_sense(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        Sampling(**{field: value})  # type: ignore[arg-type]
