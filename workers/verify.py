"""What can be proven about one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.image import read_image
from provenance.watermark.detect import Finding, detect
from provenance.watermark.keys import Key
from workers.marking import Marker


@dataclass(frozen=True)
class Verified:
    """The findings about one file."""

    name: str
    width: int
    height: int
    mark: Finding


def verify(data: bytes, *, name: str, marker: Marker, keys: Sequence[Key]) -> Verified:
    """Look for any mark of these keys; raises Unreadable for what is no picture."""
    pixels = read_image(data, name=name)
    finding = detect([marker.view(pixels)], marker.banks(keys), planned=1)
    return Verified(name, pixels.shape[2], pixels.shape[1], finding)
