"""The columns of the table: ways to keep a concept out, by the loop or in the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import torch
from torch import Tensor

from bench.erasure.prompts import Subject, placed
from generators.catalog import WEIGHTS, Generator, load_generator
from generators.erasing.delta import Applied, Delta, read_delta, write_delta
from generators.erasing.distil import Recipe, erase
from generators.erasing.ear import EarRecipe, train
from generators.erasing.lessons import KNOWN, lessons
from generators.guidance import mix
from generators.interface import Site
from generators.raster import RasterModel
from generators.sampling import Erasure, Unerased
from generators.text import load_text
from generators.training.red import TAUGHT
from provenance.policies import EVERY, Concept, Effective, Version
from workers.erasing import away
from workers.screening import Screen, scene

RED = WEIGHTS / "icons-128-red.safetensors"
EAR_PAIRS = 12  # 50 are published; it takes five seconds a pair


class Method(StrEnum):
    """A column."""

    NONE = "no erasure"
    NEGATIVE = "negative prompt"
    EAR = "EAR as published"
    SAMPLING = "sampling-time"
    DELTA = "delta"
    BOTH = "both"
    SERVED = "sampling-time, with the checker"


# On how many subjects, the first ones, a method is measured that keeps next to nothing.
FIRST = {Method.EAR: 5}


class Negative:
    """The concept instead of no prompt: n + g (c - n), for every prompt there is."""

    without: tuple[str, ...] = ()

    def __init__(self, text: str) -> None:
        self.against = (text,)

    def steer(self, site: Site, logits: Tensor, guidance: float) -> Tensor:
        return mix(logits[0], logits[2], guidance)

    def observe(self, site: Site, logits: Tensor, drawn: Tensor) -> None:
        pass


def policy(subjects: Sequence[Subject], *, checker: str = "") -> Effective:
    """The policy that bans them, with every setting as it comes, and a checker or none."""
    concepts = tuple(
        Concept(
            one.name,
            one.phrases,
            checker=checker,
            labels=(one.shows or one.phrases) if checker else (),
        )
        for one in subjects
    )
    made = Version(EVERY, EVERY, 1, concepts, 3, b"", "bench", datetime(2026, 1, 1, tzinfo=UTC))
    return Effective((made,))


@dataclass
class Studio:
    """The red-team model, and what was trained for it."""

    generator: Generator
    cache: Path
    screen: Screen

    @property
    def model(self) -> RasterModel:
        assert isinstance(self.generator.model, RasterModel)
        return self.generator.model

    def __post_init__(self) -> None:
        base = self.generator.spec.transformer.digest
        self._applied = Applied(self.model.transformer, base)
        self.red = read_delta(RED.read_bytes(), name=RED.name)
        self._applied.apply([self.red])

    def delta(self, subject: Subject) -> Delta:
        """The delta of a subject, trained once and kept."""
        place = self.cache / "deltas" / f"{subject.name.replace(' ', '-')}.safetensors"
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            recipe, base = Recipe(), self.generator.spec.transformer.digest
            new = [says[0] for name, says in TAUGHT.items() if name not in subject.shows]
            known = [*KNOWN, *new]
            drawn = lessons(self.generator, subject.phrases, known=known, seed=recipe.seed)
            pairs = erase(self.model.transformer, *drawn, recipe)
            place.write_bytes(write_delta(base, f"erases: {subject.name}", recipe.plain(), pairs))
        return read_delta(place.read_bytes(), name=place.name)

    @contextmanager
    def weights(self, method: Method, subjects: Sequence[Subject]) -> Iterator[None]:
        """The weights of a method while the block lasts."""
        if method in (Method.DELTA, Method.BOTH):
            self._applied.apply([self.red, *(self.delta(one) for one in subjects)])
            try:
                yield
            finally:
                self._applied.apply([self.red])
        elif method is Method.EAR:
            with self._ear(subjects[0]):
                yield
        else:
            yield

    def ear(self, subject: Subject) -> Path:
        """The weights that EAR makes for a subject, trained once and kept."""
        place = self.cache / "ear" / f"{subject.name.replace(' ', '-')}.pt"
        transformer = self.model.transformer
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            student = deepcopy(transformer)
            pairs = [self._pair(subject, n) for n in range(EAR_PAIRS)]
            train(transformer, student, pairs, EarRecipe())
            torch.save(student.state_dict(), place)
        return place

    @contextmanager
    def _ear(self, subject: Subject) -> Iterator[None]:
        transformer = self.model.transformer
        before = {name: p.data for name, p in transformer.named_parameters()}
        after = torch.load(self.ear(subject), weights_only=True)
        for name, p in transformer.named_parameters():
            p.data = after[name]
        try:
            yield
        finally:
            for name, p in transformer.named_parameters():
                p.data = before[name]

    def _pair(self, subject: Subject, number: int) -> tuple[Tensor, Tensor]:
        text = subject.plain[number % len(subject.plain)]
        safe = subject.replacement or text.removesuffix(f" {subject.phrases[0]}")
        prompts = [placed(text, number), placed(safe, number)]
        unsafe, neutral = self.model.text.prompts(prompts)
        return unsafe, neutral


def eraser(
    studio: Studio, method: Method, subjects: Sequence[Subject]
) -> Callable[[str, int], Erasure]:
    """The erasure of a prompt, at an attempt."""
    match method:
        case Method.NEGATIVE:
            text = " and ".join(subject.phrases[0] for subject in subjects)
            return lambda prompt, level: Negative(scene(text))
        case Method.SAMPLING | Method.BOTH:
            rules = policy(subjects)
            return lambda prompt, level: away(studio.screen(rules, prompt), level) or Unerased()
        case _:
            return lambda prompt, level: Unerased()


def open_studio(cache: Path) -> Studio:
    """Everything in memory."""
    return Studio(load_generator("icons-128"), cache, Screen(load_text))
