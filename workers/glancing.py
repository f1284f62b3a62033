"""Looks at pictures while they are drawn: nobody sees of a banned one, or waits until it is done.

A checker of whole pictures sees little in half of one. From three quarters on it sees nearly what
it sees in the whole (docs/erasure.md), so there the drawing is looked at: previews are shown only
of what passes, and a drawing in which every picture is banned ends at once. A picture is never
refused for what a part of it looks like; it is drawn again, and only a whole one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from generators.checkers.interface import CannotCheck, Checker, Picture
from generators.interface import Codec
from provenance.policies import Concept, Effective, Version
from provenance.reasons import Done, Kind, Reason, found

SHARES = (0.75, 0.875)  # of the tokens, at which a drawing is looked at


class CannotLook(ValueError):
    """A checker that the policy asks for failed; the text says which, and how."""


class Stopped(Exception):
    """Every picture being drawn shows what is banned; `Glances.banned` says what."""


def seen(
    policy: Effective, checkers: Mapping[str, Checker], pictures: Sequence[Picture]
) -> list[list[Reason]]:
    """Which banned concepts the checkers see in each picture; raises CannotLook."""
    out: list[list[Reason]] = [[] for _ in pictures]
    for name, checker in checkers.items():
        mine = [
            (version, concept)
            for version in policy.versions
            for concept in version.concepts
            if concept.checker == name
        ]
        if not mine:
            continue
        try:
            scores = checker.scores(pictures)
        except CannotCheck as e:
            raise CannotLook(f"the checker {name!r} cannot check: {e}") from e
        if len(scores) != len(pictures):
            raise CannotLook(f"the checker {name!r} scored {len(scores)} of {len(pictures)}")
        for version, concept in mine:
            columns = [checker.labels.index(label) for label in concept.labels]
            for number, score in enumerate(scores[:, columns].sum(1)):
                # Written so that a score that is no number is one too much.
                if not float(score) <= concept.most:
                    out[number].append(_in_picture(version, concept, float(score)))
    return out


def _in_picture(version: Version, concept: Concept, score: float) -> Reason:
    return found(concept, version, Kind.PICTURE, score, concept.most, Done.REDRAWN)


@dataclass
class Glances:
    """What was seen in one batch as far as it is drawn; fits `show` of the sampling loop.

    `banned` are the reasons by place in the batch of `count`. Without a checker in the policy
    everything is shown as it is drawn. `last`: a drawing that must be finished, for only a whole
    picture is refused. One of some of the batch, for a stronger mark, is finished as well.
    """

    policy: Effective
    checkers: Mapping[str, Checker]
    codec: Codec
    show: Callable[[Sequence[int], Tensor], None]
    count: int
    last: bool
    banned: dict[int, list[Reason]] = field(default_factory=dict)
    _left: list[float] = field(default_factory=lambda: list(SHARES))

    def __call__(self, places: Sequence[int], tokens: Tensor) -> None:
        """Looks, if it is time, at tokens (B, h, w), 0 where none is chosen; raises Stopped."""
        if not any(concept.checker for concept in self.policy.concepts):
            self.show(places, tokens)
            return
        share = drawn_share(tokens)
        if share < SHARES[0]:
            self._left = list(SHARES)  # drawn anew, with a stronger mark
        if not self._left or share < self._left[0]:
            return
        self._left = [one for one in self._left if one > share]
        reasons = seen(self.policy, self.checkers, _pictures(self.codec, tokens))
        self.banned |= dict(zip(places, reasons, strict=True))
        passed = [row for row, why in enumerate(reasons) if not why]
        if passed:
            self.show([places[row] for row in passed], tokens[passed])
        elif not self.last and len(places) == self.count:
            raise Stopped


def drawn_share(tokens: Tensor) -> float:
    """How much of grids (B, h, w) is drawn, in raster order: all up to the last token not 0."""
    chosen = tokens.flatten(1).ne(0).any(0).nonzero()
    return (int(chosen[-1]) + 1) / tokens[0].numel() if len(chosen) else 0.0


def _pictures(codec: Codec, tokens: Tensor) -> list[Picture]:
    pixels = codec.decode(tokens).cpu().numpy().transpose(0, 2, 3, 1)
    return list((pixels * 255).round().clip(0, 255).astype(np.uint8))
