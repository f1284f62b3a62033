"""Draw, mark, and read the mark back: what leaves carries a mark that was seen in its own file.

A traded mark is worn once before it leaves: a copy is brightened until its lights clip, and the
strength is raised until what is left is found as well. That costs one more reading, and stands for
all that a picture goes through unnamed.

A caller may name an attack that the mark is to survive. The strength is then raised until the
widest search still finds the mark in a copy that went through the attack once, and the caller sees
with what p. That says nothing about other attacks, and of a random attack it is one draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import Tensor

from generators.catalog import Generator
from generators.sampling import Drawn, Erasure, Request, Unerased, draw
from provenance.formats import Encoding
from provenance.image import Pixels, read_image
from provenance.robustness.attacks import Attack, attacked, find
from provenance.watermark.detect import THRESHOLD, Finding, Outcome, detect
from provenance.watermark.keys import Key
from provenance.watermark.mark import Mark
from provenance.watermark.search import FULL, QUICK, Plan
from workers.marking import Kind, Marker, request_id
from workers.policy import NO_LABELS, Labels

BATCH = 8
# Nats, tried in turn until the mark can be read back well: what new evidence may cost, or a bias.
# The last leaves red codes little chance. A picture that cannot carry the mark even so is refused.
STRENGTHS = {
    Kind.TRADE: (7.0, 10.0, 14.0, 20.0),
    Kind.LEXICAL: (2.0, 4.0, 7.0),
    Kind.BOTH: (2.0, 4.0, 7.0),
    Kind.SWAP: (0.0,),  # a swap has no strength
}
TARGET = 1e-9  # corrected p to reach, a thousandfold below the threshold of verifying
WEAR, UNDONE = find("brightness-1.5"), np.float32(1 / 1.5)  # what it clips stays lost
# Corrected p to reach in the worn copy, whose level is known: a full search tries twelve times as
# much, and then the threshold of verifying is kept by a factor of three.
WORN = 3e-8
SEED = 0  # of the attack: the same wish gives the same picture


class WeakMark(RuntimeError):
    """The picture cannot carry a mark that survives; it was not given out."""


@dataclass(frozen=True)
class Survived:
    """What is left of the mark in a copy that went through the attack the caller named."""

    attack: str
    finding: Finding


@dataclass(frozen=True)
class Marked:
    """A marked picture as a file, with what this very file shows."""

    drawn: Drawn
    file: bytes
    mark: Kind
    strength: float
    finding: Finding
    worn: Finding | None = None  # of a trade: what is left of it in the worn copy
    survived: Survived | None = None  # None: no attack was named
    labels: Labels = NO_LABELS  # those in the file, and those to be written into it
    encoding: Encoding = Encoding()

    @property
    def p(self) -> float:
        """Corrected, in the file or after the attack, whichever is larger."""
        survived = self.survived.finding.corrected if self.survived else 0.0
        return max(self.finding.corrected, survived)

    @property
    def shortfall(self) -> float:
        """By what factor the mark misses what it is drawn to; at most 1 is strong enough."""
        worn = self.worn.corrected / WORN if self.worn else 0.0
        return max(self.p / TARGET, worn)


def unerased(_: Request) -> Erasure:
    """The explicit choice to keep no concept out."""
    return Unerased()


@dataclass(frozen=True)
class How:
    """What pictures are to carry, a mark of a key that survives an attack, and labels; and where.

    `erase` gives a request its erasure, a new one for every time that it is drawn. The mark is read
    back from the file, so it is as strong as the file's format asks for.
    """

    mark: Kind
    key: Key
    erase: Callable[[Request], Erasure]
    survive: Attack | None = None
    labels: Labels = NO_LABELS
    encoding: Encoding = Encoding()


def generate(
    generator: Generator,
    marker: Marker,
    requests: Sequence[Request],
    how: How,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Marked]:
    """Draw the requests, each as weakly marked as TARGET and WORN allow; raises WeakMark.

    The mark is read back under the label that people see, so what counts is what leaves.
    What falls short at every strength is drawn as it reads best, if verifying finds it so.
    """
    made = attempt(generator, marker, requests, how, progress=progress)
    for marked in made:
        check_carries(marked)
    return made


def attempt(
    generator: Generator,
    marker: Marker,
    requests: Sequence[Request],
    how: How,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    show: Callable[[Sequence[int], Tensor], None] = lambda numbers, tokens: None,
) -> list[Marked]:
    """Each request drawn as it reads best; no picture may leave that `check_carries` refuses.

    `show` is given the numbers (B) of the requests being drawn, and their tokens (B, h, w) so far.
    """
    best: dict[int, Marked] = {}
    for strength in STRENGTHS[how.mark]:
        left = [n for n in range(len(requests)) if n not in best or best[n].shortfall > 1]
        for start in range(0, len(left), BATCH):
            numbers = left[start : start + BATCH]
            batch = [requests[number] for number in numbers]
            watermarks = [_watermark(marker, one, how, strength) for one in batch]
            drawn = draw(
                generator.model,
                generator.codec,
                batch,
                erasures=[how.erase(one) for one in batch],
                watermarks=watermarks,
                progress=progress,
                show=partial(show, numbers),
            )
            for number, picture in zip(numbers, drawn, strict=True):
                marked = _read_back(marker, picture, how, strength)
                best[number] = min(best.get(number, marked), marked, key=_order)
    return [best[number] for number in range(len(requests))]


def _order(marked: Marked) -> tuple[bool, float]:
    """Those that may leave come first, then those that fall short the least."""
    return marked.p > THRESHOLD, marked.shortfall


def _watermark(marker: Marker, request: Request, how: How, strength: float) -> Mark:
    wish = request_id(marker.name, request.prompt, request.seed)
    return marker.watermark(how.mark, how.key, wish, delta=strength)


def _read_back(marker: Marker, drawn: Drawn, how: How, strength: float) -> Marked:
    """What is found in the file as written, and after the attack, with the key it was marked by."""
    shown = how.labels.draw((drawn.pixels.transpose(2, 0, 1) / 255).astype(np.float32))
    file = how.encoding.encode(shown)
    pixels = read_image(file, name="the picture just drawn")
    finding = _found(marker, pixels, how.key, QUICK)
    worn = None
    if how.mark is Kind.TRADE:
        worn = _found(marker, attacked(pixels, WEAR, seed=SEED) * UNDONE, how.key, QUICK)
    survived = None
    if how.survive is not None:
        copy = attacked(pixels, how.survive, seed=SEED)
        survived = Survived(how.survive.name, _found(marker, copy, how.key, FULL))
    return Marked(
        drawn=drawn,
        file=file,
        mark=how.mark,
        strength=strength,
        finding=finding,
        worn=worn,
        survived=survived,
        labels=how.labels,
        encoding=how.encoding,
    )


def _found(marker: Marker, pixels: Pixels, key: Key, plan: Plan) -> Finding:
    search = marker.search(pixels, plan)
    return detect(search.views(), marker.banks([key]), planned=search.planned)


def check_carries(marked: Marked) -> None:
    """Raise WeakMark unless the mark was read back from the file and after the attack."""
    picture = f"seed {marked.drawn.request.seed}: the picture"  # the prompt stays out of logs
    _check_detected(marked.finding, f"{picture} cannot carry the mark")
    if marked.survived is not None:
        lost = f"{picture} cannot carry a mark that survives {marked.survived.attack}"
        _check_detected(marked.survived.finding, lost)


def _check_detected(finding: Finding, otherwise: str) -> None:
    if finding.outcome is not Outcome.DETECTED:
        raise WeakMark(
            f"{otherwise} (corrected p {finding.corrected:.1e}, at most {finding.threshold:.0e} "
            f"is needed); try another seed or prompt"
        )
