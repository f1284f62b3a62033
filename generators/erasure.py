"""Keeping concepts out while sampling: branches, evidence, and how hard to push.

Every concept that a prompt may lead to has a branch of its own, over the same tokens as the prompt.
With u, c and n the logits without prompt, with it and of each concept, and guidance g,

    z = u + g (c - u) - P,    P = g w (n - u) summed over the concepts, |P| at most |g (c - u)|

pushes away from where each concept goes, never further than the prompt itself pulls (a trust
region): a prompt that is the concept is drawn as if nothing had been asked. The weight w is the
gate: how far the tokens drawn so far speak for the concept,

    E_t = sum over tokens x drawn of log p_n(x) - log p_u(x)   (nats)

opened at the start, when a picture is decided, and then by E_t: a concept that turns out to be
absent stops being pushed. Of a prompt that surely asks for the concept, its direction is projected
out of the prompt's states as well (`without`, see generators.text.project).

Sources: guidance away from a text as logits of an autoregressive model, Obliviate
(arXiv 2606.28643, section 3); evidence as a ratio of likelihoods under the same prefix, S-VARE
(arXiv 2509.22400) for the shared prefix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from generators.guidance import mix
from generators.interface import Site


@dataclass(frozen=True)
class Schedule:
    """How hard a concept is pushed out of a picture.

    `strength` multiplies the push, 0 is none. The first `opening` of all tokens (a share) are
    pushed whatever the evidence; afterwards the gate is at `threshold` nats a token half open, and
    goes from closed to open over about four times `softness`.
    """

    strength: float = 1.0
    opening: float = 0.25
    threshold: float = 0.0
    softness: float = 0.15

    def __post_init__(self) -> None:
        numbers = (self.strength, self.opening, self.threshold, self.softness)
        if not all(math.isfinite(n) for n in numbers):
            raise ValueError(f"a schedule of numbers that are not finite: {self}")
        if self.strength < 0 or not 0 <= self.opening <= 1 or self.softness <= 0:
            raise ValueError(f"strength and softness must be positive, opening in [0, 1]: {self}")


@dataclass(frozen=True)
class Branch:
    """A concept as it is pushed out of one picture: its name, its text, and how hard."""

    concept: str
    text: str
    schedule: Schedule = Schedule()


@dataclass
class Evidence:
    """What the tokens drawn so far say of one concept."""

    concept: str
    nats: float = 0.0  # E_t
    tokens: int = 0
    pushed: float = 0.0  # mean weight of the gate

    @property
    def rate(self) -> float:
        """Nats a token."""
        return self.nats / self.tokens if self.tokens else 0.0


@dataclass
class Away:
    """Draws one request away from concepts; fits the hooks of the sampling loop."""

    branches: Sequence[Branch]
    without: tuple[str, ...] = ()
    evidence: list[Evidence] = field(init=False)

    def __post_init__(self) -> None:
        self.branches = tuple(one for one in self.branches if one.schedule.strength > 0)
        self.evidence = [Evidence(one.concept) for one in self.branches]

    @property
    def against(self) -> tuple[str, ...]:
        return tuple(one.text for one in self.branches)

    def steer(self, site: Site, logits: Tensor, guidance: float) -> Tensor:
        """Guided logits (n, V) from (2 + k, n, V), pushed away from every concept."""
        free = mix(logits[0], logits[1], guidance)
        if not self.branches:
            return free
        push = torch.zeros_like(free)
        for number, branch in enumerate(self.branches):
            weight, seen = self._weight(number, site), self.evidence[number]
            seen.pushed += (weight - seen.pushed) / (seen.tokens + 1)
            strength = guidance * weight * branch.schedule.strength
            push = push + strength * (logits[2 + number] - logits[1])
        return free - capped(push, guidance * (logits[0] - logits[1]))

    def observe(self, site: Site, logits: Tensor, drawn: Tensor) -> None:
        """Add to the evidence what the tokens (n,) say."""
        if not self.branches:
            return
        likely = logits.log_softmax(-1).gather(-1, drawn.expand(len(logits), -1)[..., None])
        each = likely[..., 0].sum(-1)
        for number, seen in enumerate(self.evidence):
            seen.nats += float(each[2 + number] - each[1])
            seen.tokens += len(drawn)

    def _weight(self, number: int, site: Site) -> float:
        """How far the gate of a concept is open at a site, in [0, 1]."""
        schedule, seen = self.branches[number].schedule, self.evidence[number]
        if site.step < schedule.opening * site.steps:
            return 1.0
        return 1 / (1 + math.exp(-(seen.rate - schedule.threshold) / schedule.softness))


def capped(push: Tensor, most: Tensor) -> Tensor:
    """A push (n, V), shortened to the length of `most` (n, V) where it is longer.

    Lengths are of logits about their mean, for a constant added to all of them says nothing.
    """
    length = (push - push.mean(-1, keepdim=True)).norm(dim=-1, keepdim=True)
    limit = (most - most.mean(-1, keepdim=True)).norm(dim=-1, keepdim=True)
    shorter: Tensor = push * (limit / length.clamp_min(1e-6)).clamp(max=1)
    return shorter
