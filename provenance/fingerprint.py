"""What a picture looks like, in 256 bits (PDQ), and which recorded pictures look alike.

A fingerprint survives recompression, resizing and changes of brightness, and its mirrored half a
left-right flip. It does not survive cropping, rotation or borders. The search is exact: it finds
every stored fingerprint within the threshold, and says the same on SQLite and PostgreSQL. A picture
too flat to be told from others is inconclusive, never a match.

Not promised: that a match is the same picture, or was made here. PDQ has no secret, so a picture
can be made to match on purpose, and one drawn after another looks like it. PDQ: Davis and Rosen,
"The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from provenance.errors import ProvenanceError
from provenance.image import Pixels
from provenance.ledger.log import lock_log, read_record
from provenance.ledger.record import GivenOut
from provenance.tables import FingerprintRow

Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]

VERSION = "pdq1"  # changes when any fingerprint may change
BITS = 256
THRESHOLD = 31  # bits; this and the next are what PDQ's reference recommends to start with
LEAST_QUALITY = 50  # of 100
LARGEST_SIDE = 512  # as PDQ's reference reads files: a larger side is averaged down to this
LIMIT = 1000  # matches that a finding lists, the nearest first
BLOCK = 1 << 16  # fingerprints compared at a time: what is computed of them stays in the cache
ROWS = 10_000  # read at a time


class NotRecorded(ProvenanceError):
    """A fingerprint of an entry that does not record a picture with this fingerprint."""


class OutOfOrder(ProvenanceError):
    """A fingerprint of an entry before the last one stored: indexes that are loaded miss it."""


class Outcome(StrEnum):
    MATCH = "match"
    NONE = "no match"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Fingerprint:
    """PDQ of a picture and of its mirror image, 32 bytes each, and its quality, 0 to 100."""

    hash: bytes
    mirrored: bytes
    quality: int


@dataclass(frozen=True)
class Match:
    """A recorded picture that looks alike: its entry in the log and the bits that differ."""

    entry: int
    distance: int
    mirrored: bool  # it is the picture's mirror image that looks alike


@dataclass(frozen=True)
class Finding:
    """The outcome of one search, with its numbers; there are matches if and only if it matched."""

    outcome: Outcome
    matches: tuple[Match, ...]  # the nearest first, then by entry; at most the search's limit
    within: int  # how many stored fingerprints lie within the threshold
    searched: int
    threshold: int
    quality: int
    basis: str

    @property
    def caveat(self) -> str:
        """What the outcome does not mean."""
        match self.outcome:
            case Outcome.MATCH:
                return (
                    "looks like a recorded picture; not proven to be it, nor to be made here: a "
                    "match can be made on purpose, and a picture drawn after another looks like it"
                )
            case Outcome.INCONCLUSIVE:
                return "too flat to be told from other flat pictures; neither for nor against"
            case Outcome.NONE:
                return "cropped, turned or framed, a recorded picture would not be found either"
        assert_never(self.outcome)


# python -m bench.fingerprint --photographs FOLDER; a lower threshold matches no more than this.
MEASURED = (
    "measured on 408 different photographs: 0 of 83,028 pairs within 31 bits, the closest 86 "
    "apart; only 204 pairs are independent, so with 95 % confidence at most 1.8 % of pairs match; "
    "pictures drawn alike, as of one prompt, lie closer than photographs and were not counted"
)
UNMEASURED = "none: how often different pictures match at this threshold was not measured"


def fingerprint(pixels: Pixels) -> Fingerprint:
    """The fingerprint of (3, H, W) pixels in [0, 1]; of less than 5 px a side, of quality 0."""
    eight = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    picture = Image.fromarray(np.ascontiguousarray(eight))
    size = min(picture.width, LARGEST_SIDE), min(picture.height, LARGEST_SIDE)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BOX)
    hash_, quality = _pdq(picture)
    # pdqhash's own mirrored hash can be 24 bits away from the hash of the mirror image.
    mirrored, _ = _pdq(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    return Fingerprint(hash_, mirrored, quality)


def format_fingerprint(one: Fingerprint) -> str:
    """The text that a record holds: version, hash, quality; the mirrored hash is only asked for."""
    return f"{VERSION}:{one.hash.hex()}:{one.quality}"


def store(session: Session, entry: int, one: Fingerprint) -> None:
    """Keeps the fingerprint of an entry, in the transaction that appended it.

    Raises NotLogged, NotRecorded or OutOfOrder; the transaction must then be abandoned.
    """
    record = read_record(session, entry)
    if not isinstance(record, GivenOut) or record.fingerprint != format_fingerprint(one):
        raise NotRecorded(f"entry {entry} does not record a picture with this fingerprint")
    lock_log(session)
    last = session.scalar(select(func.max(FingerprintRow.entry)))
    if last is not None and entry <= last:
        raise OutOfOrder(f"entry {entry}, and fingerprints are stored up to entry {last}")
    row = {"entry": entry, "hash": one.hash, "quality": one.quality}
    session.execute(insert(FingerprintRow), [row])


class FingerprintIndex:
    """The stored fingerprints of enough quality, in memory, 40 bytes each; N of them, by entry.

    The hashes lie as four columns of 64-bit words, so that most are dismissed after two. One thread
    loads; others may search meanwhile. A row that is deleted is found until a new index is loaded.
    """

    def __init__(self) -> None:
        self._columns: Words = np.empty((4, 1024), np.uint64)
        self._entries: NDArray[np.int64] = np.empty(1024, np.int64)
        self._size = 0
        self._last = -1  # the last row read, judged or not

    def __len__(self) -> int:
        return self._size

    def load(self, session: Session) -> None:
        """Adds what was stored since the last time."""
        rows = select(FingerprintRow.entry, FingerprintRow.hash, FingerprintRow.quality)
        rows = rows.where(FingerprintRow.entry > self._last).order_by(FingerprintRow.entry)
        result = session.execute(rows, execution_options={"yield_per": ROWS})
        for part in result.partitions():
            kept = [(entry, value) for entry, value, quality in part if quality >= LEAST_QUALITY]
            hashes = np.frombuffer(b"".join(value for _, value in kept), np.uint8).reshape(-1, 32)
            self.append(np.array([entry for entry, _ in kept], np.int64), hashes)
            self._last = part[-1][0]

    def append(self, entries: NDArray[np.int64], hashes: Bytes) -> None:
        """Adds fingerprints: their entries (M,) and hashes (M, 32)."""
        size = self._size + len(entries)
        if size > len(self._entries):
            room = max(size, 2 * len(self._entries)) - self._size
            columns = self._columns[:, : self._size]
            self._columns = np.pad(columns, ((0, 0), (0, room)))
            self._entries = np.pad(self._entries[: self._size], (0, room))
        self._columns[:, self._size : size] = _words(hashes).T
        self._entries[self._size : size] = entries
        self._last = max(self._last, int(entries.max(initial=-1)))
        self._size = size  # last, so that a search never sees half of it

    def search(
        self, one: Fingerprint, *, threshold: int = THRESHOLD, limit: int = LIMIT
    ) -> Finding:
        """Every stored fingerprint within `threshold` bits of the picture or its mirror image."""
        if not 0 <= threshold < BITS // 2 or limit < 1:
            raise ValueError("a search needs 0 <= threshold < 128 and a limit of at least 1")
        size = self._size
        columns, entries = self._columns[:, :size], self._entries[:size]
        matches: tuple[Match, ...] = ()
        outcome, within = Outcome.INCONCLUSIVE, 0
        if one.quality >= LEAST_QUALITY:
            places, distances, mirrored = _near(columns, one, threshold)
            within = len(places)
            outcome = Outcome.MATCH if within else Outcome.NONE
            best = np.lexsort((entries[places], distances))[:limit]
            matches = tuple(
                Match(int(entries[places[i]]), int(distances[i]), bool(mirrored[i])) for i in best
            )
        basis = MEASURED if threshold <= THRESHOLD else UNMEASURED
        return Finding(outcome, matches, within, size, threshold, one.quality, basis)


def distances(hashes: Bytes, one: Fingerprint) -> NDArray[np.int64]:
    """The bits (M,) in which hashes (M, 32) differ from the picture or, if fewer, its mirror."""
    columns = _words(hashes).T
    asked = (_word(one.hash), _word(one.mirrored))
    apart = np.stack([count_ones(columns ^ words[:, None]).sum(0, np.int64) for words in asked])
    return np.asarray(apart.min(0), np.int64)


def _pdq(picture: Image.Image) -> tuple[bytes, int]:
    """The 32 bytes and the quality that the library gives for a picture of mode RGB."""
    # A copy in C order: pdqhash reads the memory row by row, whatever the strides say.
    bits, quality = pdqhash.compute(np.array(picture, order="C"))
    return np.packbits(bits.astype(np.uint8)).tobytes(), int(quality)


def _near(
    columns: Words, one: Fingerprint, threshold: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Places (M,) of the columns (4, N) within the threshold, their distances, and if mirrored."""
    found: list[tuple[int, int, bool]] = []
    for start in range(0, columns.shape[1], BLOCK):
        block = columns[:, start : start + BLOCK]
        nearest: dict[int, tuple[int, bool]] = {}
        for mirrored, value in ((False, one.hash), (True, one.mirrored)):
            for place, distance in _near_hash(block, _word(value), threshold):
                if place not in nearest or distance < nearest[place][0]:
                    nearest[place] = distance, mirrored
        found += [(start + place, *near) for place, near in nearest.items()]
    places, distances, mirrored_ones = zip(*found, strict=True) if found else ((), (), ())
    return (
        np.array(places, np.int64),
        np.array(distances, np.int64),
        np.array(mirrored_ones, np.bool_),
    )


def _near_hash(block: Words, words: Words, threshold: int) -> list[tuple[int, int]]:
    """Places and distances of what lies within the threshold of one hash."""
    half = count_ones(block[0] ^ words[0])
    half += count_ones(block[1] ^ words[1])  # at most 128: no overflow
    likely = np.flatnonzero(half <= threshold)
    rest = block[2:, likely] ^ words[2:, None]
    distance = half[likely] + count_ones(rest).sum(0, np.int64)
    near = distance <= threshold
    return list(zip(likely[near].tolist(), distance[near].tolist(), strict=True))


def _word(value: bytes) -> Words:
    """The (4,) words of a hash of 32 bytes."""
    return np.frombuffer(value, ">u8").astype(np.uint64)


def _words(hashes: Bytes) -> Words:
    """(M, 32) bytes -> (M, 4) words."""
    return np.ascontiguousarray(hashes).view(">u8").astype(np.uint64)


_ONES = np.array([n.bit_count() for n in range(1 << 16)], np.uint8)


def count_ones_by_table(words: Words) -> Bytes:
    """The ones in each word, in the same shape: what numpy before 2.0 cannot count itself."""
    pieces = _ONES[np.ascontiguousarray(words).view(np.uint16)]
    return np.asarray(pieces.reshape(*words.shape, 4).sum(-1), np.uint8)


count_ones = getattr(np, "bitwise_count", count_ones_by_table)
