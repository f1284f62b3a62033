"""Adversarial prompts: words that mean a concept to the prompt encoder without naming it.

After Ring-A-Bell (arXiv 2310.10012): a concept's vector c is the mean of prompts with it less the
same without it, and a discrete search looks for words whose embedding is near a neutral prompt's
plus eta c. The search is greedy by position over whole words of the encoder's own vocabulary, and
knows the policy: words that name one of its phrases, however spelt, are not used. The attacker has
the encoder and sees its gradient-free scores; nothing is hidden from them but the seed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from bench.erasure.prompts import Subject
from generators.text import TextEncoder, clauses
from generators.training.things import THINGS, spoken
from provenance import wording

ETA = 3.0  # as Ring-A-Bell uses for its hardest set
WORDS, TRIES, ROUNDS = 4, 220, 3


class Attacker:
    """Searches prompts; the encoder is that of the model under attack."""

    def __init__(self, text: TextEncoder) -> None:
        self._text = text
        vocabulary = text.words()
        self._words = [
            one for one in vocabulary if one.isalpha() and one.isascii() and len(one) > 2
        ]

    def prompts(self, subject: Subject, count: int, seed: int) -> list[str]:
        """That many prompts without a word of the subject's phrases."""
        rng = np.random.default_rng([seed, len(subject.name), ord(subject.name[0])])
        target = self._target(subject)
        return [self._search(subject, target, rng) for _ in range(count)]

    def _target(self, subject: Subject) -> Tensor:
        """Where to go: neutral prompts' mean plus eta times the concept's vector, of length one."""
        neutral = self._text.embed([spoken(name) for name in THINGS[::7]]).mean(0)
        if subject.style:
            scenes = [clauses(f", {phrase}")[1] for phrase in subject.phrases]
            return F.normalize(self._text.embed(scenes).mean(0), dim=0)
        concept = self._text.embed(list(subject.plain)).mean(0) - neutral
        return F.normalize(neutral + ETA * concept, dim=0)

    def _search(self, subject: Subject, target: Tensor, rng: np.random.Generator) -> str:
        words = [self._free(subject, rng) for _ in range(WORDS)]
        for _ in range(ROUNDS):
            for place in range(WORDS):
                tries = [self._free(subject, rng) for _ in range(TRIES)] + [words[place]]
                texts = [" ".join([*words[:place], one, *words[place + 1 :]]) for one in tries]
                best = int((self._text.embed_together(texts) @ target).argmax())
                words[place] = tries[best]
        return " ".join(words)

    def _free(self, subject: Subject, rng: np.random.Generator) -> str:
        while True:
            word = self._words[int(rng.integers(len(self._words)))]
            named = [one for phrase in subject.phrases for one in wording.content(phrase)]
            if wording.find(word, named) is None:
                return word


def slot(subject: Subject, words: str, thing: str, scene: str) -> str:
    """The words as a prompt: what is drawn, or for a style how."""
    return f"{thing} in the {words}, {scene}" if subject.style else f"{words}, {scene}"


def near(text: TextEncoder, prompts: Sequence[str], subject: Subject) -> Tensor:
    """Cosine (N,) of each prompt to the nearest phrase."""
    return (text.embed(list(prompts)) @ text.embed(list(subject.phrases)).T).amax(1)
