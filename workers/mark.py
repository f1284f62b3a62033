"""Mark a picture that exists already, and verify the file that comes out.

The mark lies in the scheme posthoc/1 (workers/marking.py says why it has its own) and in the list
that the file's digest chooses, so the same file and key give the same mark. The new file is a PNG
of what a viewer shows: upright, in sRGB, over white; EXIF, profile and transparency do not stay.
At least 35 dB of the original and found by the full search of `verify`, or nothing is given out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from provenance.image import encode_png, read_image
from provenance.watermark import posthoc
from provenance.watermark.detect import THRESHOLD, Bank
from provenance.watermark.embeddability import Judge
from provenance.watermark.errors import CodecMismatch, UnusableKey
from provenance.watermark.family import Family
from provenance.watermark.keys import Key, KeyState, list_for
from provenance.watermark.search import FULL
from workers.generate import WeakMark
from workers.marking import Marker
from workers.perceptual import Distance
from workers.verify import Verified, verify


@runtime_checkable
class Requantising(posthoc.Codec, Protocol):
    """A generator's codec that also tells what it quantises and how near each code is."""


@dataclass(frozen=True, eq=False)
class MarkedUpload:
    """A marked picture as a PNG file, how near it is to the original, what verifying it finds."""

    png: bytes
    marked: posthoc.Marked
    list_index: int
    perceptual: float | None  # None: not measured
    verified: Verified


def mark(
    data: bytes,
    *,
    name: str,
    marker: Marker,
    key: Key,
    keys: Sequence[Key],
    distance: Distance | None,
) -> MarkedUpload:
    """The file's picture, marked with `key` so that verifying with `keys` finds it.

    Raises Unreadable, TooSmall, CannotCarry if no mark within 35 dB would be found, UnusableKey,
    WeakMark if verifying the file does not find it all the same.
    """
    if key.state is not KeyState.ACTIVE:
        raise UnusableKey(f"key {key.key_id} is {key.state} and marks no more")
    if not isinstance(marker.codec, Requantising):
        raise CodecMismatch(f"the codec of {marker.name} cannot mark finished pictures")
    pixels = read_image(data, name=name)
    scheme = marker.posthoc
    index = list_for(key, hashlib.sha256(data).hexdigest(), scheme.lists)
    family = Family(tuple(bank.trials(FULL.looks) for bank in marker.banks(keys)))
    marked = posthoc.mark(
        marker.codec,
        Judge(marker.codec, Bank(scheme, [key]), owner=index),
        pixels,
        favoured=scheme.green(key, index),
        target=THRESHOLD / family.size,
    )
    png = encode_png(marked.pixels)
    verified = verify(png, name=name, marker=marker, keys=keys, plan=FULL)
    check_found(verified, scheme.name, key)
    perceptual = None if distance is None else distance(pixels, marked.pixels)
    return MarkedUpload(png, marked, index, perceptual, verified)


def check_found(verified: Verified, scheme: str, key: Key) -> None:
    """Raise WeakMark unless this mark is what verifying finds."""
    match = verified.mark.match
    if match is None:
        raise WeakMark(
            f"{verified.name}: verifying the marked file does not find the mark "
            f"(corrected p {verified.mark.corrected:.1e})"
        )
    if (match.scheme, match.key_id) != (scheme, key.key_id):
        raise WeakMark(
            f"{verified.name}: carries another mark of ours already, {match.scheme} of key "
            f"{match.key_id}, that reads more clearly than a second one"
        )
