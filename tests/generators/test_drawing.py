import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor

from generators.drawing import CannotJoin, Drawing
from generators.gpt import Conditions
from generators.guidance import mix
from generators.interface import Codec, DiscreteModel, Full, Site, Unsupported
from generators.llamagen import LlamaGenModel
from generators.products import halve
from generators.sampling import (
    BadRequest,
    Drawn,
    Erasure,
    Request,
    Sampling,
    Unerased,
    Unmarked,
    Watermark,
    draw,
)
from tests.generators.letters import CODES, HOW, SIDE, generator
from tests.generators.test_sampling import ToyCodec, ToyModel
from tests.generators.watching import Watching

STEPS = SIDE**2


@dataclass
class Against:
    """Steers away from texts by half of their guidance."""

    against: tuple[str, ...]
    without: tuple[str, ...] = ()
    steps: list[int] = field(default_factory=list)

    def steer(self, site: Site, logits: Tensor, guidance: float) -> Tensor:
        self.steps.append(site.step)
        away = sum((branch - logits[1] for branch in logits[2:]), torch.zeros_like(logits[0]))
        return mix(logits[0], logits[1], guidance) - away / 2

    def observe(self, site: Site, logits: Tensor, drawn: Tensor) -> None:
        pass


def wishes(*, text: bool) -> tuple[list[Request], list[tuple[str, ...]]]:
    """Seven unlike requests, and the texts that each is drawn against."""
    prompts = ["a", "bcd", "ef", "abcde", "a", "dc", "b"] if text else list("0423401")
    others = ["bc", "a"] if text else ["1", "2"]
    against: list[tuple[str, ...]] = [(), (others[0],), (), (), (others[0], others[1]), (), ()]
    hows = [Sampling(1 + n / 2, 1 + n / 10, CODES - n, 1 - n / 50) for n in range(len(prompts))]
    asked = zip(prompts, hows, strict=True)
    return [Request(prompt, 10 + n, how) for n, (prompt, how) in enumerate(asked)], against


def join(
    drawing: Drawing,
    requests: Sequence[Request],
    erasures: Sequence[Erasure] | None = None,
    watermarks: Sequence[Watermark] | None = None,
) -> list[int]:
    """Joins; without erasures and marks unless they are given."""
    return drawing.join(
        requests,
        erasures=erasures or [Unerased()] * len(requests),
        watermarks=watermarks or [Unmarked()] * len(requests),
    )


def late(
    model: DiscreteModel,
    codec: Codec,
    requests: Sequence[Request],
    against: Sequence[tuple[str, ...]],
) -> tuple[dict[int, Drawn], list[Watching]]:
    """Requests drawn in ten rows, each joined as soon as there is room, at some step."""
    rng, drawing = random.Random(1), Drawing(model, codec, rows=10)
    waiting, marks = list(range(len(requests))), [Watching(CODES) for _ in requests]
    finished: dict[int, Drawn] = {}
    while waiting or drawing.going:
        while waiting and 2 + len(against[waiting[0]]) <= drawing.free and rng.random() < 0.1:
            n = waiting.pop(0)
            assert join(drawing, [requests[n]], [Against(against[n])], [marks[n]]) == [n]
        finished |= dict(drawing.step())
    return finished, marks


@pytest.mark.parametrize("parts", [None, 1, 2])
@pytest.mark.parametrize("text", [False, True])
def test_a_request_is_drawn_the_same_alone_in_a_batch_and_joined_late(
    text: bool, parts: int | None
) -> None:
    model, codec = generator(text=text)
    if parts is not None:
        halve(model.transformer, 1 if parts == 1 else 2)
    requests, against = wishes(text=text)
    finished, joined = late(model, codec, requests, against)
    batch = [Watching(CODES) for _ in requests]
    erasures = [Against(one) for one in against]
    together = draw(model, codec, requests, erasures=erasures, watermarks=batch)
    for n, request in enumerate(requests):
        mark = Watching(CODES)
        (alone,) = draw(model, codec, [request], erasures=[Against(against[n])], watermarks=[mark])
        assert np.array_equal(alone.tokens, together[n].tokens)
        assert np.array_equal(alone.tokens, finished[n].tokens)
        assert np.array_equal(alone.pixels, finished[n].pixels)
        assert finished[n].request == request
        for other in (batch[n], joined[n]):
            pairs = zip(mark.seen, other.seen, strict=True)
            assert all(torch.equal(mine[1], its[1]) for mine, its in pairs), "to the last bit"


def test_every_request_is_at_a_step_of_its_own() -> None:
    model, codec = generator()
    first, second = Against(()), Against(("1",))
    drawing, request = Drawing(model, codec, rows=5), Request("0", 1, HOW)
    join(drawing, [request], [first])
    ended = [drawing.step() for _ in range(10)]
    join(drawing, [request], [second])
    ended += [drawing.step() for _ in range(STEPS)]
    assert [[n for n, _ in some] for some in ended if some] == [[0], [1]]
    assert [step for step, some in enumerate(ended) if some] == [STEPS - 1, STEPS + 9]
    assert first.steps == second.steps == list(range(STEPS))


def test_a_finished_request_makes_room_at_once() -> None:
    model, codec = generator()
    drawing = Drawing(model, codec, rows=5)
    requests = [Request(str(n), n, HOW) for n in range(2)]
    join(drawing, requests)
    assert (drawing.free, drawing.going) == (1, [0, 1])
    for _ in range(STEPS - 1):
        assert drawing.step() == []
        with pytest.raises(Full, match="2 rows are needed, and 1 are free"):
            join(drawing, requests[:1])
    assert [number for number, _ in drawing.step()] == [0, 1]
    assert (drawing.free, drawing.going, drawing.step()) == (5, [], [])
    assert join(drawing, requests) == [2, 3]


@pytest.mark.parametrize("text", [False, True])
def test_who_finds_no_room_or_asks_for_what_cannot_be_changes_nothing(text: bool) -> None:
    model, codec = generator(text=text)
    some, _ = wishes(text=text)
    drawing = Drawing(model, codec, rows=4)
    join(drawing, some[:1])
    drawing.step()
    with pytest.raises(Full, match="4 rows are needed, and 2 are free"):
        join(drawing, some[1:3])
    with pytest.raises(Unsupported, match="projected out"):
        join(drawing, some[1:2], [Against((), ("a gun",))])
    with pytest.raises(BadRequest, match="not 0 and 1"):
        drawing.join(some[1:2], erasures=[], watermarks=[Unmarked()])
    assert (drawing.free, drawing.going) == (2, [0])
    assert join(drawing, some[1:2]) == [1]
    finished = dict(made for _ in range(STEPS) for made in drawing.step())
    for n, drawn in finished.items():
        (alone,) = draw(model, codec, [some[n]], erasures=[Unerased()], watermarks=[Unmarked()])
        assert np.array_equal(alone.tokens, drawn.tokens)
    assert sorted(finished) == [0, 1]


def test_what_is_dropped_is_drawn_no_further_and_the_others_are() -> None:
    model, codec = generator()
    drawing, requests = Drawing(model, codec, rows=6), wishes(text=False)[0][:3]
    join(drawing, requests)
    drawing.step()
    drawing.drop([1, 99])
    assert (drawing.free, drawing.going) == (2, [0, 2])
    join(drawing, requests[1:2])
    finished = dict(made for _ in range(STEPS) for made in drawing.step())
    assert sorted(finished) == [0, 2, 3]
    together = draw(model, codec, requests, erasures=[Unerased()] * 3, watermarks=[Unmarked()] * 3)
    for number, n in ((0, 0), (2, 2), (3, 1)):
        assert np.array_equal(finished[number].tokens, together[n].tokens)


def test_what_joins_late_is_marked_from_its_first_token() -> None:
    model, codec = generator()
    drawing, request = Drawing(model, codec, rows=4), Request("0", 1, HOW)
    join(drawing, [request])
    drawing.step()
    join(drawing, [request], None, [Even()])
    finished = dict(made for _ in range(STEPS + 1) for made in drawing.step())
    assert (finished[1].tokens % 2 == 0).all()
    assert 0 < (finished[0].tokens % 2).mean() < 1


class Even(Unmarked):
    """Only even codes may be drawn."""

    def favour(self, site: Site, logits: Tensor) -> Tensor:
        return logits + torch.where(torch.arange(CODES) % 2 == 0, 0.0, -torch.inf)


def test_a_model_that_draws_a_batch_at_a_time_says_so() -> None:
    with pytest.raises(CannotJoin, match="ToyModel draws a batch at a time"):
        Drawing(ToyModel(), ToyCodec(), rows=8)


def test_what_a_text_encoder_raises_leaves_the_room_free() -> None:
    model, codec = generator()
    asking = model.asking

    def broken(transformer: object, texts: Sequence[str]) -> Conditions:
        if texts[0] == "4":
            raise OSError("the encoder is gone")
        return asking(model.transformer, texts)

    drawing = Drawing(LlamaGenModel(model.transformer, broken), codec, rows=4)
    with pytest.raises(OSError, match="gone"):
        join(drawing, [Request("4", 1, HOW)])
    assert (drawing.free, drawing.going) == (4, [])
    assert join(drawing, [Request("3", 1, HOW), Request("2", 1, HOW)]) == [0, 1]
