"""What can be proven about one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.image import read_image
from provenance.watermark.detect import Finding, detect
from provenance.watermark.keys import Key
from provenance.watermark.search import Cost, Plan
from workers.marking import Marker


@dataclass(frozen=True)
class Verified:
    """The findings about one file, and what it cost to look for them."""

    name: str
    width: int
    height: int
    mark: Finding
    cost: Cost


def verify(data: bytes, *, name: str, marker: Marker, keys: Sequence[Key], plan: Plan) -> Verified:
    """Look for any mark of these keys; raises Unreadable for what is no picture."""
    pixels = read_image(data, name=name)
    search = marker.search(pixels, plan)
    finding = detect(search.views(), marker.banks(keys), planned=search.planned)
    return Verified(name, pixels.shape[2], pixels.shape[1], finding, search.cost)
