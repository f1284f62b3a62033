from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from generators.interface import Full, Prompt
from generators.seats import LlamaGenSeats
from tests.generators.letters import CODES, SIDE, generator


def drawn(seats: LlamaGenSeats, count: int) -> None:
    """Draws so many of the likeliest tokens; what is kept is the next one."""
    for _ in range(count):
        sites, logits = seats.propose()
        tokens = logits[: 2 * len(sites) : 2].argmax(-1)
        seats.commit(tokens, (tokens + 1) % CODES)


@pytest.mark.parametrize("text", [False, True])
@torch.inference_mode()
def test_nothing_is_allocated_anew_by_steps_and_by_who_joins(text: bool) -> None:
    model, _ = generator(text=text)
    seats = model.seats(6)

    def kept() -> list[int]:
        every = (seats.rows.tokens, seats.rows.places, seats.rows.valid, *seats.rows.cache)
        return [one.data_ptr() for one in every]

    before, sizes = kept(), [tuple(one.shape) for one in seats.rows.cache]
    assert sizes == [(2, 6, 2, model.transformer.config.prefix + SIDE**2, 16)] * 2
    told = [Prompt(text) for text in (["ab", "c", "abcd"] if text else ["0", "1", "2"])]
    seats.join(told[:1])
    for _ in range(3):
        drawn(seats, 5)
        seats.join(told[1:])
        drawn(seats, 5)
        seats.leave([0, 2])
    assert kept() == before


@torch.inference_mode()
def test_prefixes_that_rows_share_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = generator(text=True)
    seen, advance = list[int](), model.transformer.advance

    def counted(x: Tensor, *rest: Any) -> Tensor:
        seen.append(len(x))
        return advance(x, *rest)

    monkeypatch.setattr(model.transformer, "advance", counted)
    run = model.open([Prompt("abc", against=("de",)), *[Prompt("abc")] * 5, Prompt("def")])
    first = run.propose()
    run.commit(torch.zeros(7, 1).long(), torch.zeros(7, 1).long())
    run.propose()
    assert first is not None
    assert torch.equal(first.logits[:, 0], first.logits[:, 5])
    assert seen == [4, 16], "abc, def, de and none; and all rows from then on"


@torch.inference_mode()
def test_rows_that_nobody_has_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = generator()
    seen, advance = list[int](), model.transformer.advance

    def counted(x: Tensor, *rest: Any) -> Tensor:
        seen.append(len(x))
        return advance(x, *rest)

    monkeypatch.setattr(model.transformer, "advance", counted)
    seats = model.seats(32)
    seats.join([Prompt("0")] * 5)
    drawn(seats, 2)
    seats.leave([0, 1, 3])
    drawn(seats, 1)
    assert seen == [4, 12, 4], "what rows share; ten filled up to twelve; four"


@torch.inference_mode()
def test_tokens_are_those_kept_of_who_is_under_way() -> None:
    model, _ = generator()
    seats = model.seats(4)
    seats.join([Prompt("0"), Prompt("1")])
    drawn(seats, 3)
    assert [len(one.nonzero()) for one in seats.tokens().flatten(1)[:, 3:]] == [0, 0]
    second = seats.tokens()[1]
    seats.leave([0])
    assert torch.equal(seats.tokens(), second[None])
    seats.join([Prompt("2")])
    assert torch.equal(seats.tokens()[0], second)
    assert not seats.tokens()[1].any(), "nothing is left of who sat there before"


@torch.inference_mode()
def test_proposals_are_in_the_order_of_joining_and_of_each_ones_branches() -> None:
    model, _ = generator(text=True)

    def first(prompts: Sequence[Prompt]) -> Tensor:
        alone = model.seats(9)
        alone.join(prompts)
        return alone.propose().logits

    seats = model.seats(9)
    seats.join([Prompt("abc"), Prompt("de", against=("abc", "c"))])
    drawn(seats, 2)
    seats.leave([0])
    seats.join([Prompt("ab", against=("c",))])
    sites, logits = seats.propose()
    assert [site.step for site in sites] == [2, 0]
    assert len(logits) == 4 + 3
    assert torch.equal(logits[4:], first([Prompt("ab", against=("c",))]))
    assert torch.equal(logits[6], first([Prompt("c")])[0]), "a branch is a prompt like any other"


def test_more_than_there_is_room_for_is_refused() -> None:
    model, _ = generator()
    with torch.inference_mode(), pytest.raises(Full, match="3 rows are needed, and 2 are free"):
        model.seats(2).join([Prompt("0", against=("1",))])
