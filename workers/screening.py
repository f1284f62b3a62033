"""What a policy does about a prompt, before anything is drawn.

Words first, for they are certain and can be shown; then what the prompt means to the very encoder
that the model draws from: a paraphrase that is near a concept there is one that the model would
follow. Above `certain` the policy's action is taken; between `near` and `certain` nobody knows, so
the prompt is drawn, away from the concept. Below, nothing is done and nothing is paid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from generators.erasure import Branch, Schedule
from generators.text import clauses, scene_first
from provenance import wording
from provenance.policies import Action, Concept, Effective, Version
from provenance.reasons import Done, Kind, Reason, found

MOST_BRANCHES = 3  # of concepts that a prompt only may mean; each costs half a picture more


@dataclass(frozen=True)
class Screened:
    """A prompt as it is to be drawn, away from what, and why. `refused` prompts are not drawn."""

    prompt: str
    branches: tuple[Branch, ...]
    reasons: tuple[Reason, ...]
    without: tuple[str, ...] = ()  # phrases to be projected out of what the prompt means
    refused: bool = False


@dataclass(frozen=True)
class _Hit:
    concept: Concept
    reason: Reason
    phrase: str
    said: str  # what of the prompt spoke for it
    similarity: float
    certain: bool


@dataclass(frozen=True)
class _Read:
    """A prompt, its clauses and their parts (it is among them), and what those mean (N, d)."""

    prompt: str
    parts: tuple[str, ...]
    meant: Tensor


class Encoder(Protocol):
    """The model's own prompt encoder."""

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (N, d)."""


class Screen:
    """Screens prompts; remembers what phrases mean."""

    def __init__(self, load: Callable[[], Encoder]) -> None:
        self._load = load  # no policy, no encoder
        self._known: dict[str, Tensor] = {}

    def __call__(self, policy: Effective, prompt: str) -> Screened:
        """What is to be done about a prompt."""
        if not policy.concepts:
            return Screened(prompt, (), ())
        read = self._read(prompt)
        hits = [
            hit
            for version in policy.versions
            for concept in version.concepts
            if (hit := self._hit(version, concept, read)) is not None
        ]
        hits.sort(key=lambda hit: (not hit.certain, -hit.similarity))
        reasons = tuple(hit.reason for hit in hits)
        if any(hit.reason.done is Done.REFUSED for hit in hits):
            return Screened(prompt, (), reasons, refused=True)
        drawn = prompt
        for hit in hits:
            if hit.reason.done is Done.REWRITTEN:
                drawn = _rewritten(drawn, hit.concept.replacement)
        steered = [hit for hit in hits if hit.reason.done is Done.STEERED]
        sure = sum(hit.certain for hit in steered)
        kept = steered[: max(MOST_BRANCHES, sure)]
        branches = tuple(Branch(h.concept.name, scene(h.phrase), _schedule(h)) for h in kept)
        without = tuple(one for hit in kept for one in _taken_out(hit))
        return Screened(drawn, branches, reasons, without)

    def _read(self, prompt: str) -> _Read:
        # A style stands before a background in one clause, and would be thinned out by it.
        parts = [prompt, *clauses(prompt), *clauses(prompt)[1].split(",")]
        kept = tuple(dict.fromkeys(one for part in parts if (one := part.strip())))
        return _Read(prompt, kept, self._load().embed(kept))

    def _hit(self, version: Version, concept: Concept, read: _Read) -> _Hit | None:
        """What speaks for a concept in a prompt; None if too little does."""
        words = wording.find(read.prompt, concept.phrases)
        cosines = self._cosines(concept.phrases, read.meant)
        similarity = float(cosines.max())
        certain = words is not None or similarity >= concept.certain
        if not certain and similarity < concept.near:
            return None
        done = _DONE[concept.action] if certain else Done.STEERED
        nearest = concept.phrases[int(cosines.amax(0).argmax())]
        if words is not None:
            reason = found(concept, version, Kind(words.how.value), 1.0, 1.0, done)
            reason = replace(reason, start=words.start, end=words.end)
            said = read.prompt[words.start : words.end]
        else:
            least = concept.certain if certain else concept.near
            reason = found(concept, version, Kind.MEANING, similarity, least, done)
            clause = 1 if len(read.parts) > 1 else 0  # not the whole, which is its scene as well
            said = read.parts[clause + int(cosines[clause:].amax(1).argmax())]
        return _Hit(concept, reason, nearest, said, similarity, certain)

    def _cosines(self, phrases: Sequence[str], meant: Tensor) -> Tensor:
        """Of every part of a prompt (rows) with every phrase (columns)."""
        new = [one for one in phrases if one not in self._known]
        if new:
            self._known |= dict(zip(new, self._load().embed(new), strict=True))
        cosines: Tensor = meant @ torch.stack([self._known[one] for one in phrases]).T
        return cosines


def _taken_out(hit: _Hit) -> tuple[str, ...]:
    """The phrases to be projected out of what the prompt means.

    Of a style also where nobody knows: it stands in a clause of its own, and what is asked for
    beside it stays.
    """
    phrases = hit.concept.phrases
    if hit.certain:
        return (*phrases, hit.said)
    return tuple(one for one in phrases if scene_first(one))


_DONE = {
    Action.REFUSE: Done.REFUSED,
    Action.REWRITE: Done.REWRITTEN,
    Action.STEER: Done.STEERED,
}


def _schedule(hit: _Hit) -> Schedule:
    concept = hit.concept
    return Schedule(concept.strength, concept.opening, concept.threshold)


def scene(phrase: str) -> str:
    """A phrase as a prompt; one that starts with a preposition says how or where, not what."""
    return f", {phrase}" if scene_first(phrase) else phrase


def _rewritten(prompt: str, replacement: str) -> str:
    """The replacement in the scene of the prompt."""
    rest = clauses(prompt)[1]
    return f"{replacement}, {rest}" if rest else replacement
