"""Mark a picture that exists already, and verify the file that comes out.

The mark lies in the scheme posthoc/2 (workers/marking.py says why it has its own) and in the list
that the file's digest chooses, so the same file, key and number give the same mark. The number is
left out of a picture in which a copy in JPEG would not show it; the mark is then as strong as any.
The new file holds what a viewer shows: upright, in sRGB, over white; EXIF, profile and
transparency do not stay. The mark leaves at least 35 dB, before JPEG or WebP lose more, and the
full search of `verify` finds it in the file as encoded, or nothing is given out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from provenance.formats import Encoding
from provenance.image import Pixels, read_image
from provenance.robustness.attacks import attacked, find
from provenance.watermark import posthoc
from provenance.watermark.colouring import green
from provenance.watermark.detect import THRESHOLD, Bank, GatedBank
from provenance.watermark.embeddability import CannotCarry, Judge
from provenance.watermark.errors import CodecMismatch, UnusableKey
from provenance.watermark.family import Family
from provenance.watermark.keys import Key, KeyState, list_for
from provenance.watermark.payload import NO_NUMBER, Payload
from provenance.watermark.search import FULL
from workers.generate import WeakMark
from workers.marking import Marker, Marks
from workers.perceptual import Distance
from workers.verify import Verified, verify

SURVIVED = "jpeg-75"  # what a number must survive to be put in
PNG = Encoding()


@runtime_checkable
class Requantising(posthoc.Codec, Protocol):
    """A generator's codec that also tells what it quantises and how near each code is."""


@dataclass(frozen=True, eq=False)
class Sought:
    """What verifying looks for: these marks of these keys, by a full search."""

    marks: Marks
    keys: Sequence[Key]

    def trials(self, pixels: Pixels) -> int:
        """How many trials verifying the picture pays for."""
        planned = self.marks.search(pixels, FULL).planned
        banks = self.marks.banks(self.keys)
        return Family(tuple(bank.trials(planned[bank.scheme.lens]) for bank in banks)).size


@dataclass(frozen=True, eq=False)
class MarkedUpload:
    """A marked picture as a file, how near it is to the original, what verifying the file finds."""

    file: bytes
    marked: posthoc.Marked
    list_index: int
    number: int | None  # None: the picture has no room for one
    perceptual: float | None  # None: not measured
    verified: Verified


@dataclass(frozen=True, eq=False)
class _Upload:
    """One picture to be marked, and with what."""

    pixels: Pixels
    codec: Requantising
    payload: Payload
    key: Key
    index: int
    target: float
    encoding: Encoding

    def mark(self, bank: Bank, number: int) -> tuple[posthoc.Marked, Judge]:
        """The picture with this number in its mark; raises CannotCarry."""
        judge = Judge(self.codec, bank, owner=self.index)
        scheme = self.payload.scheme
        coins = self.payload.coins(self.key, self.index, number)
        marked = posthoc.mark(
            self.codec,
            judge,
            self.pixels,
            favoured=green(scheme.colouring, coins),
            target=self.target,
        )
        return marked, judge


def mark(
    data: bytes,
    *,
    name: str,
    marker: Marker,
    sought: Sought,
    key: Key,
    number: int,
    distance: Distance | None,
    encoding: Encoding = PNG,
) -> MarkedUpload:
    """The file's picture, marked with `key` so that verifying finds it among all that is sought.

    `marker` is that of the generator whose codec carries the mark. Raises Unreadable, TooSmall,
    CannotCarry if no mark within 35 dB would be found, UnusableKey, WeakMark if verifying the file
    does not find it all the same.
    """
    if key.state is not KeyState.ACTIVE:
        raise UnusableKey(f"key {key.key_id} is {key.state} and marks no more")
    if not (marker.spec.uploads and isinstance(marker.codec, Requantising)):
        raise CodecMismatch(f"the codec of {marker.name} cannot mark finished pictures")
    pixels, payload = read_image(data, name=name), marker.posthoc
    index = list_for(key, hashlib.sha256(data).hexdigest(), payload.scheme.lists)
    target = THRESHOLD / sought.trials(pixels)
    upload = _Upload(pixels, marker.codec, payload, key, index, target, encoding)
    marked, carried = _marked(upload, number)
    file = encoding.encode(marked.pixels)
    verified = verify(file, name=name, marks=sought.marks, keys=sought.keys, plan=FULL)
    check_found(verified, payload.scheme.name, key, carried)
    perceptual = None if distance is None else distance(pixels, marked.pixels)
    return MarkedUpload(file, marked, index, carried, perceptual, verified)


def _marked(upload: _Upload, number: int) -> tuple[posthoc.Marked, int | None]:
    """The marked picture, and the number if it has room for it.

    The number takes half of the mark, so it must be worth that: read in the file, and in a copy of
    it after SURVIVED.
    """
    bank = Bank(upload.payload.scheme, [upload.key], payload=upload.payload)
    if number != NO_NUMBER:
        try:
            marked, judge = upload.mark(GatedBank(bank), number)
        except CannotCarry:
            pass  # with all units it may
        else:
            shown = read_image(
                upload.encoding.encode(marked.pixels), name="the picture just marked"
            )
            copies = shown, attacked(shown, find(SURVIVED), seed=0)
            if all(posthoc.number(judge, copy) == number for copy in copies):
                return marked, number
    return upload.mark(bank, NO_NUMBER)[0], None


def check_found(verified: Verified, scheme: str, key: Key, number: int | None = None) -> None:
    """Raise WeakMark unless this mark, with this number, is what verifying finds."""
    match = verified.mark.match
    if match is None:
        raise WeakMark(
            f"{verified.name}: verifying the marked file does not find the mark "
            f"(corrected p {verified.mark.corrected:.1e})"
        )
    if (match.scheme, match.key_id, match.number) != (scheme, key.key_id, number):
        carried = "" if match.number is None else f", number {match.number}"
        raise WeakMark(
            f"{verified.name}: carries another mark of ours already, {match.scheme} of key "
            f"{match.key_id}{carried}, that reads more clearly than a second one"
        )
