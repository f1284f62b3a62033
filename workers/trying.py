"""Trying a generator that was brought: how fast it draws, and how many of its tokens come back.

How often tokens come back from pixels is measured on drawings of these very weights, since it
decides whether a mark can be read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from generators.cards import Card
from generators.families import family_of
from generators.interface import Prompt, Reading
from generators.sampling import Request, Unerased, Unmarked, draw
from workers.looking import Found

PICTURES = 4  # drawn to measure how many tokens come back
TRIED = 3.0  # seconds of drawing that tell the speed
TEXTS = (
    "a red car in front of a house",
    "a photograph of a cat on a chair",
    "a bowl of fruit on a wooden table",
    "mountains by the sea under a blue sky",
)


def prompt_of(card: Card, number: int) -> str:
    """What the generator is asked for its picture of a number."""
    return TEXTS[number % len(TEXTS)] if card.by_text else str(number % card.classes)


@torch.inference_mode()
def pace(found: Found) -> float:
    """Seconds that the tokens of one picture take, told from the first of them."""
    run = found.model.open([Prompt(prompt_of(found.card, 0))])
    start, done, total = time.perf_counter(), 0, found.model.layout.tokens
    while (proposal := run.propose()) is not None:
        drawn = proposal.logits[0].argmax(-1)
        run.commit(drawn, drawn)
        done += len(proposal.site.positions)
        if time.perf_counter() - start > TRIED:
            break
    return (time.perf_counter() - start) * total / done


def measured(found: Found, advance: Callable[[], None] = lambda: None) -> Card:
    """The card with how often tokens come back from drawings as 8-bit pixels, and their seconds."""
    right: list[list[float]] = []
    start = time.perf_counter()
    how = family_of(found.card).sampling
    for number in range(PICTURES):
        request = Request(prompt_of(found.card, number), number, how)
        (made,) = draw(
            found.model,
            found.decoder,
            [request],
            erasures=[Unerased()],
            watermarks=[Unmarked()],
        )
        pixels = torch.from_numpy(made.pixels).permute(2, 0, 1)[None] / 255
        right.append(_same(found.decoder.read(pixels), torch.from_numpy(made.tokens)))
        advance()
    seconds = (time.perf_counter() - start) / PICTURES
    shares = tuple(round(float(one), 4) for one in np.mean(right, axis=0))
    return replace(found.card, read_back=shares, pictures=PICTURES, seconds=round(seconds, 2))


def _same(reading: Reading, tokens: Tensor) -> list[float]:
    """The share of tokens (h, w) or (T,) that was read rightly, scale by scale."""
    grids = [one.tokens.flatten() for one in (*reading.coarser, reading)]
    drawn = torch.split(tokens.flatten(), [len(grid) for grid in grids])
    return [float((a == b).double().mean()) for a, b in zip(grids, drawn, strict=True)]
