"""What can be proven about one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from provenance.forensics.answer import Answer, Classifier
from provenance.image import Pixels, pixel_digest, read_image
from provenance.ledger.record import Digest
from provenance.verdict.table import Verdict, decide
from provenance.watermark.detect import Finding, View, detect
from provenance.watermark.keys import Key
from provenance.watermark.search import Cost, Plan
from workers.examine import Library, examine
from workers.marking import Marks


@dataclass(frozen=True)
class Verified:
    """Whether one file carries a mark, and what it cost to look for it."""

    name: str
    width: int
    height: int
    mark: Finding
    cost: Cost
    view: View | None  # how the picture was read when the search ended; None: not at all


@dataclass(frozen=True)
class Judged:
    """All that is known about one file, and what it comes to; SHA-256 of it and of its pixels."""

    verified: Verified
    verdict: Verdict
    file: Digest
    pixels: Digest
    answer: Answer | None  # the classifier's, if it was asked


def verify(data: bytes, *, name: str, marks: Marks, keys: Sequence[Key], plan: Plan) -> Verified:
    """Look for any mark of these keys; raises Unreadable for what is no picture."""
    return search_marks(read_image(data, name=name), name, marks, keys, plan)


def judge(
    data: bytes,
    *,
    name: str,
    marks: Marks,
    keys: Sequence[Key],
    plan: Plan,
    library: Library,
    classifier: Classifier | None = None,
) -> Judged:
    """Mark, record, manifest, fingerprint, revocations, and a classifier if there is one.

    Raises Unreadable.
    """
    pixels = read_image(data, name=name)
    verified = search_marks(pixels, name, marks, keys, plan)
    answer = None if classifier is None else classifier.answer(pixels)
    verdict = decide(examine(library, data, pixels, verified.mark, answer))
    file = Digest(sha256(data).digest())
    return Judged(verified, verdict, file, Digest(pixel_digest(pixels)), answer)


def search_marks(
    pixels: Pixels, name: str, marks: Marks, keys: Sequence[Key], plan: Plan
) -> Verified:
    """Look for any mark of these keys in pixels (3, H, W)."""
    search = marks.search(pixels, plan)
    last: list[View] = []
    finding = detect(_kept(search.views(), last), marks.banks(keys), planned=search.planned)
    view = last[0] if last else None
    return Verified(name, pixels.shape[2], pixels.shape[1], finding, search.cost, view)


def _kept(views: Iterable[View], last: list[View]) -> Iterator[View]:
    """The views, of which `last` holds the newest: a search stops at the one that it found."""
    for view in views:
        last[:] = [view]
        yield view
