"""The pictures to train a concept out by: drawn by the model itself, in scenes it knows.

Of the concept, of the same scenes without it, and of other things (`known`, as prompts name them)
that must stay: half of those the things nearest to the concept in meaning that are not the concept,
for those are lost first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from generators.catalog import Generator
from generators.erasing.distil import Pictures
from generators.erasure import Away
from generators.interface import Prompt
from generators.raster import RasterModel
from generators.sampling import Request, Unmarked, draw
from generators.text import scene_first
from generators.training.things import THINGS, spoken

HARMFUL, KEPT = 24, 40
BATCH = 8
SAME = 0.75  # cosine from which a thing is the concept under another name
KNOWN = tuple(spoken(name) for name in THINGS)  # what icons-128 can draw
_COLOURS = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "grey", "brown")


def scene(number: int) -> str:
    """A background that the model knows, another for every number up to 30."""
    first, second = _COLOURS[number % 10], _COLOURS[(number + 3 + number // 10) % 10]
    return (
        f"on a {first} background",
        f"on a {first} to {second} gradient",
        f"on {first} and {second} clouds",
    )[number % 3]


def lessons(
    generator: Generator,
    phrases: Sequence[str],
    *,
    known: Sequence[str] = KNOWN,
    seed: int,
    count: int = HARMFUL,
    kept: int = KEPT,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Pictures, Pictures, Pictures]:
    """Pictures of the concept, of its scenes without it, and of what is kept, in this order."""
    model = generator.model
    assert isinstance(model, RasterModel), "a raster model"
    things = _others(model, phrases, known)
    harmful = [_prompt(phrases[n % len(phrases)], things, n) for n in range(count)]
    neutral = [_neutral(phrases[n % len(phrases)], things, n, phrases) for n in range(count)]
    far = len(things) // 2
    stay = [
        Prompt(f"{things[n // 2 if n % 2 else far + (n * 7) % far]}, {scene(n + 5)}")
        for n in range(kept)
    ]
    done, total = 0, 2 * count + kept
    out = []
    for prompts in (harmful, neutral, stay):
        grids = []
        for start in range(0, len(prompts), BATCH):
            batch = prompts[start : start + BATCH]
            drawn = draw(
                model,
                generator.codec,
                [Request(one.text, seed * 1000 + start + n) for n, one in enumerate(batch)],
                erasures=[Away((), one.without) for one in batch],
                watermarks=[Unmarked()] * len(batch),
            )
            grids += [torch.from_numpy(one.tokens).flatten() for one in drawn]
            done += len(batch)
            progress(done, total)
        captions = model.text.asked(prompts, model.transformer.cls_embedding.uncond_embedding)
        out.append(Pictures(captions, torch.stack(grids)))
    return out[0], out[1], out[2]


def _others(model: RasterModel, phrases: Sequence[str], known: Sequence[str]) -> list[str]:
    """The things that are not the concept, nearest in meaning first."""
    meant = model.text.embed(known)
    near: Tensor = (meant @ model.text.embed(list(phrases)).T).amax(1)
    order = near.argsort(descending=True).tolist()
    return [known[n] for n in order if near[n] < SAME]


def _prompt(phrase: str, things: Sequence[str], number: int) -> Prompt:
    if scene_first(phrase):
        return Prompt(f"{things[number * 5 % len(things)]} {phrase}, {scene(number)}")
    return Prompt(f"{phrase}, {scene(number)}")


def _neutral(phrase: str, things: Sequence[str], number: int, phrases: Sequence[str]) -> Prompt:
    """The same without the concept: some thing in its scene, or its thing without the style."""
    if scene_first(phrase):
        return Prompt(f"{things[number * 5 % len(things)]}, {scene(number)}")
    return Prompt(f"{phrase}, {scene(number)}", without=tuple(phrases))
