"""What can be proven about one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from provenance.image import Pixels, pixel_digest, read_image
from provenance.ledger.record import Digest
from provenance.verdict.table import Verdict, decide
from provenance.watermark.detect import Finding, detect
from provenance.watermark.keys import Key
from provenance.watermark.search import Cost, Plan
from workers.examine import Library, examine
from workers.marking import Marker


@dataclass(frozen=True)
class Verified:
    """Whether one file carries a mark, and what it cost to look for it."""

    name: str
    width: int
    height: int
    mark: Finding
    cost: Cost


@dataclass(frozen=True)
class Judged:
    """All that is known about one file, and what it comes to; SHA-256 of it and of its pixels."""

    verified: Verified
    verdict: Verdict
    file: Digest
    pixels: Digest


def verify(data: bytes, *, name: str, marker: Marker, keys: Sequence[Key], plan: Plan) -> Verified:
    """Look for any mark of these keys; raises Unreadable for what is no picture."""
    return _search(read_image(data, name=name), name, marker, keys, plan)


def judge(
    data: bytes,
    *,
    name: str,
    marker: Marker,
    keys: Sequence[Key],
    plan: Plan,
    library: Library,
) -> Judged:
    """Mark, record, manifest, fingerprint and revocations; raises Unreadable."""
    pixels = read_image(data, name=name)
    verified = _search(pixels, name, marker, keys, plan)
    verdict = decide(examine(library, data, pixels, verified.mark))
    file = Digest(sha256(data).digest())
    return Judged(verified, verdict, file, Digest(pixel_digest(pixels)))


def _search(pixels: Pixels, name: str, marker: Marker, keys: Sequence[Key], plan: Plan) -> Verified:
    search = marker.search(pixels, plan)
    finding = detect(search.views(), marker.banks(keys), planned=search.planned)
    return Verified(name, pixels.shape[2], pixels.shape[1], finding, search.cost)
