from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from generators.interface import Codebook, Layout, Proposal, Reading, Site
from generators.sampling import (
    BadRequest,
    Drawn,
    Request,
    Sampling,
    Unmarked,
    Watermark,
    choose,
    cut,
    draw,
)

CODES = 16


class ToyRun:
    """Logits that depend on the prompt and the token drawn before, so that feeding back shows."""

    def __init__(self, prompts: Sequence[str]) -> None:
        self._prompts = prompts
        self._drawn, self._kept = torch.zeros(2, len(prompts), 4, dtype=torch.int64)
        self._step = 0

    def propose(self) -> Proposal | None:
        if self._step == 4:
            return None
        rows = []
        for row, prompt in enumerate(self._prompts):
            last = int(self._drawn[row, self._step - 1]) if self._step else 0
            seed = torch.Generator().manual_seed(1000 * len(prompt) + 17 * last + self._step)
            rows.append(torch.randn(2, 1, CODES, generator=seed))
        site = Site("image", self._step, 4, None, torch.tensor([self._step]))
        return Proposal(site, torch.stack(rows, 1))

    def commit(self, drawn: Tensor, kept: Tensor) -> None:
        self._drawn[:, self._step] = drawn[:, 0]
        self._kept[:, self._step] = kept[:, 0]
        self._step += 1

    def tokens(self) -> Tensor:
        kept: Tensor = self._kept
        return kept.reshape(-1, 2, 2)


class ToyModel:
    layout = Layout(2, 2)

    def open(self, prompts: Sequence[str]) -> ToyRun:
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
    return draw(ToyModel(), ToyCodec(), [request], watermarks=[mark])[0]


def test_draw_marks_every_token_while_it_is_sampled() -> None:
    for seed in range(20):
        assert (one("a fox", seed, HardGreen()).tokens % 2 == 0).all()
        assert (one("a fox", seed, SwapToOdd()).tokens % 2 == 1).all()
    unmarked = np.stack([one("a fox", seed, Unmarked()).tokens for seed in range(20)])
    assert 0 < (unmarked % 2).mean() < 1


def test_the_bias_comes_after_guidance_and_temperature_and_before_the_cuts() -> None:
    recorder = Recorder()
    one("a fox", 3, recorder, Sampling(guidance=3.0, temperature=0.5, top_k=4, top_p=1.0))
    first = ToyRun(["a fox"]).propose()
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
    run = ToyRun(["a fox"])
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
    together = draw(ToyModel(), ToyCodec(), requests, watermarks=marks)
    for request, mark, among in zip(requests, marks, together, strict=True):
        alone = draw(ToyModel(), ToyCodec(), [request], watermarks=[mark])[0]
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


def test_every_request_needs_a_mark() -> None:
    with pytest.raises(BadRequest, match="1 requests need as many marks, not 0"):
        draw(ToyModel(), ToyCodec(), [Request("a fox", 1)], watermarks=[])


@pytest.mark.parametrize(
    ("field", "value"),
    [("guidance", 0.5), ("temperature", 0.0), ("top_k", 0), ("top_p", 0.0), ("top_p", 1.5)],
)
def test_sampling_refuses_what_makes_no_sense(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        Sampling(**{field: value})  # type: ignore[arg-type]
