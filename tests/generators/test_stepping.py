import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._dynamo.backends.registry import lookup_backend
from torch._inductor import config as inductor

from generators.drawing import Drawing
from generators.interface import Prompt
from generators.llamagen import LlamaGenModel
from generators.products import halve
from generators.sampling import Request, Unerased, Unmarked, draw
from generators.seats import LlamaGenSeats
from generators.stepping import (
    CannotStep,
    Prepare,
    Rows,
    Span,
    Step,
    Stepping,
    compiled,
    every,
    graphed,
    spans,
    static_rows,
)
from tests.generators.letters import CODES, SIDE, generator
from tests.generators.test_drawing import join, late, wishes

COMPILER = shutil.which("g++") or shutil.which("clang++")


def as_it_is(transformer: Any, rows: Rows) -> Step:
    """Steps of one shape, neither compiled nor captured."""
    return partial(every, transformer, *rows)


def fake_graph(step: Step) -> Step:
    """Replays a step into where the first one put its logits, as a CUDA graph does."""
    out = step().clone()
    return lambda: out.copy_(step())


class Counting:
    """A backend of torch.compile that says how often it compiled."""

    def __init__(self) -> None:
        self.count = 0
        self._backend: Callable[..., Any] = lookup_backend("aot_eager")

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.count += 1
        return self._backend(*given, **named)


class Prepared(LlamaGenModel):
    """A small LlamaGen whose steps are made by what a test says."""

    def __init__(self, model: LlamaGenModel, prepare: Prepare | None) -> None:
        super().__init__(model.transformer, model.asking)
        self._prepare = prepare


def test_spans_are_neighbours_at_one_place() -> None:
    assert spans({0: 4, 1: 4, 2: 5, 4: 5, 5: 5}) == [
        Span(0, 0, 2, 5),
        Span(2, 2, 1, 6),
        Span(3, 4, 2, 6),
    ]
    assert spans({3: 7, 2: 7}) == [Span(0, 2, 2, 8)]


def test_a_step_of_one_shape_has_few_shapes() -> None:
    assert [static_rows(n) for n in (1, 4, 5, 8, 9, 16, 40)] == [4, 4, 8, 8, 16, 16, 64]


def unlike(model: LlamaGenModel, *, text: bool) -> list[Tensor]:
    """Logits of every step of requests that join one after another, and all draw the same."""
    seen: list[Tensor] = []
    prompts = ["ab", "c", "abcd", "b"] if text else list("0123")
    rng = torch.Generator().manual_seed(3)
    with torch.inference_mode():
        seats = model.seats(7)
        for n, prompt in enumerate(prompts):
            seats.join([Prompt(prompt)])
            for _ in range(5):
                sites, logits = seats.propose()
                seen.append(logits)
                tokens = torch.randint(CODES, (len(sites), 1), generator=rng)
                seats.commit(tokens, tokens)
            if n == 1:
                seats.leave([0])
    return seen


@pytest.mark.parametrize("text", [False, True])
def test_a_step_of_one_shape_computes_what_plain_steps_do_but_for_rounding(text: bool) -> None:
    model, _ = generator(text=text)
    told = unlike(Prepared(model, None), text=text)
    found = unlike(Prepared(model, as_it_is), text=text)
    assert len(told) == 20
    for mine, its in zip(told, found, strict=True):
        torch.testing.assert_close(its, mine, rtol=1e-5, atol=2e-5)


def test_logits_handed_out_stay_when_the_next_step_overwrites_its_own() -> None:
    model, _ = generator()
    prepare: Prepare = partial(graphed, capture=fake_graph)
    with torch.inference_mode():
        seats = LlamaGenSeats(
            model.transformer, partial(model.asking, model.transformer), 4, prepare
        )
        seats.join([Prompt("0")])
        seen = []
        for token in range(4):
            logits = seats.propose().logits
            seen.append((logits, logits.clone()))
            seats.commit(torch.tensor([[token]]), torch.tensor([[token]]))
    assert all(torch.equal(handed, copy) for handed, copy in seen)
    assert len({copy.numpy().tobytes() for _, copy in seen}) == 4


@pytest.mark.parametrize("text", [False, True])
def test_a_captured_step_draws_what_the_same_step_draws_when_it_is_run(text: bool) -> None:
    """The capture here replays what it was given: only rows that stay where they are get in."""
    model, codec = generator(text=text)
    requests, against = wishes(text=text)
    run, _ = late(Prepared(model, as_it_is), codec, requests, against)
    replayed, _ = late(
        Prepared(model, partial(graphed, capture=fake_graph)), codec, requests, against
    )
    assert len(run) == len(requests)
    for n, drawn in run.items():
        assert np.array_equal(drawn.tokens, replayed[n].tokens)


def test_a_step_is_compiled_once_for_all_tokens_and_all_who_join() -> None:
    model, codec = generator()
    torch._dynamo.reset()
    counting = Counting()
    prepared = Prepared(model, compiled(counting))
    requests, against = wishes(text=False)
    finished, _ = late(prepared, codec, requests, against)
    assert (len(finished), counting.count) == (len(requests), 1)
    for count in (5, 8):
        with torch.inference_mode():
            run = prepared.open([Prompt("0")] * count)
            for token in range(4):
                assert run.propose() is not None
                tokens = torch.full((count, 1), token)
                run.commit(tokens, tokens)
    assert counting.count == 1, "sixteen rows, all of them"
    unlike(prepared, text=False)
    assert counting.count == 2, "eight rows"


@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of PyTorch by itself
def test_compiled_steps_differ_from_plain_ones_by_rounding_alone() -> None:
    torch._dynamo.reset()
    model, codec = generator(layers=1)
    told = unlike(model, text=False)
    model.use(Stepping.COMPILE)
    for mine, its in zip(told, unlike(model, text=False), strict=True):
        torch.testing.assert_close(its, mine, rtol=1e-5, atol=2e-5)
    requests, _ = wishes(text=False)
    beside, alone = Drawing(model, codec, rows=8), Drawing(model, codec, rows=8)
    join(beside, requests[:2])
    for _ in range(9):
        beside.step()
    join(beside, requests[2:3])
    join(alone, requests[2:3])
    late_one = dict(made for _ in range(SIDE**2) for made in beside.step())[2]
    (first,) = (made for _ in range(SIDE**2) for _, made in alone.step())
    assert np.array_equal(late_one.tokens, first.tokens)


def test_what_cannot_be_compiled_or_captured_is_said_at_once() -> None:
    model, _ = generator()
    with pytest.raises(CannotStep, match="CUDA graphs need .* CUDA device, .* is on cpu"):
        model.use(Stepping.GRAPHS)
    with pytest.raises(CannotStep, match="is on cpu"):
        LlamaGenModel(model.transformer, model.asking, Stepping.GRAPHS)


def test_without_a_compiler_nothing_is_compiled_on_a_processor() -> None:
    model, _ = generator()
    missing = inductor.patch({"cpp.cxx": ("no-such-compiler",)})
    with missing, pytest.raises(CannotStep, match=r"needs a C\+\+ compiler.*no-such-compiler"):
        model.use(Stepping.COMPILE)


@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
def test_halves_are_not_compiled_whenever_they_became_halves() -> None:
    model, codec = generator()
    model.use(Stepping.COMPILE)
    halve(model.transformer)
    with pytest.raises(CannotStep, match="kept as halves"):
        model.use(Stepping.COMPILE)
    with pytest.raises(CannotStep, match="kept as halves"):
        Drawing(model, codec, rows=4)
    with pytest.raises(CannotStep, match="kept as halves"):
        draw(model, codec, [Request("0", 1)], erasures=[Unerased()], watermarks=[Unmarked()])
