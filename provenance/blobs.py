"""Files by the SHA-256 of their bytes, in a folder; nothing in it ever changes.

A file is on the disk, whole and under its name, before its digest is given out, so a row that
points to a blob never points to nothing. Blobs that no row points to are removed by `tidying` once
they are old; whoever puts the same bytes meanwhile makes them new, or finds them gone and keeps
them whole: a lock on the folder orders the two. `provenance.s3` keeps them in a bucket instead.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, NewType, Protocol

from provenance.errors import ProvenanceError
from provenance.files import sync_folder

Digest = NewType("Digest", bytes)  # SHA-256, 32 bytes
BUCKETS = "s3://"
DRAFTS = "drafts"  # files being written; what lies here after a crash is rubbish


class NoBlob(ProvenanceError):
    """No bytes of this digest are kept."""


class TooLong(ProvenanceError):
    """More bytes than are taken."""


class Damaged(ProvenanceError):
    """What is kept under a digest has another one."""


class Unreachable(ProvenanceError):
    """Where blobs are kept does not answer now."""


class BadPlace(ProvenanceError):
    """No blobs can be kept there."""


class Store(Protocol):
    """Where an installation keeps its blobs."""

    def put(self, data: bytes) -> Digest:
        """The digest of bytes that are kept when this returns."""

    def receive(self, *, limit: int) -> AbstractContextManager[Upload]:
        """An upload of at most `limit` bytes; nothing is kept unless it is finished."""

    def get(self, digest: Digest) -> bytes:
        """The bytes of a digest; raises NoBlob."""

    def written_before(self, moment: datetime) -> Iterator[Digest]:
        """Every blob that was put last before a time."""

    def remove(self, digest: Digest, *, before: datetime) -> bool:
        """Whether the blob is gone now; not if it was put again after a time, or is not there."""

    def remove_drafts(self, *, before: datetime) -> int:
        """How many drafts were removed that nobody has written to since a time."""


class Keeper(Protocol):
    """What gives a whole draft its name."""

    def keep(self, draft: Path, digest: Digest) -> None: ...


def open_blobs(place: str) -> Store:
    """The blobs of a folder, or of `s3://BUCKET/PREFIX`; raises BadPlace."""
    if not place.startswith(BUCKETS):
        return Blobs(Path(place))
    try:
        from provenance import s3
    except ImportError as e:
        raise BadPlace(
            f"COUNTERMARK_BLOBS is {place[:200]!r}: pip install 'countermark[s3]'"
        ) from e
    return s3.connect(place)


class Upload:
    """Bytes that come in parts; `finish` gives their digest once they are kept."""

    def __init__(self, blobs: Keeper, file: IO[bytes], draft: Path, limit: int) -> None:
        self._blobs, self._file, self._draft, self._limit = blobs, file, draft, limit
        self._hash, self.size = sha256(), 0

    def write(self, part: bytes) -> None:
        """Takes the next bytes; raises TooLong once there are more than the limit."""
        self.size += len(part)
        if self.size > self._limit:
            raise TooLong(f"more than {self._limit} bytes")
        self._hash.update(part)
        self._file.write(part)

    def finish(self) -> Digest:
        """The digest, once the bytes are on the disk under it."""
        self._file.flush()
        os.fsync(self._file.fileno())
        digest = Digest(self._hash.digest())
        self._blobs.keep(self._draft, digest)
        return digest


@dataclass(frozen=True)
class Blobs:
    """The blobs of an installation, in a folder."""

    folder: Path

    def put(self, data: bytes) -> Digest:
        """The digest of bytes that are kept when this returns."""
        with self.receive(limit=len(data)) as upload:
            upload.write(data)
            return upload.finish()

    @contextmanager
    def receive(self, *, limit: int) -> Iterator[Upload]:
        """An upload of at most `limit` bytes; nothing is kept unless it is finished."""
        draft = self.folder / DRAFTS / secrets.token_hex(16)
        draft.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("xb") as file:
                yield Upload(self, file, draft, limit)
        finally:
            draft.unlink(missing_ok=True)

    def get(self, digest: Digest) -> bytes:
        """The bytes of a digest; raises NoBlob."""
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError as e:
            raise NoBlob(f"no bytes of SHA-256 {digest.hex()} are kept") from e

    def path(self, digest: Digest) -> Path:
        """Where the bytes of a digest are or would be: to be streamed, never to be changed."""
        name = digest.hex()
        return self.folder / name[:2] / name

    def keep(self, draft: Path, digest: Digest) -> None:
        """Gives a whole, synced draft its name."""
        place = self.path(digest)
        if not place.parent.exists():
            place.parent.mkdir(exist_ok=True)
            sync_folder(self.folder)
        with self._locked(fcntl.LOCK_SH):
            draft.replace(place)
        sync_folder(place.parent)

    def written_before(self, moment: datetime) -> Iterator[Digest]:
        """Every blob that was put last before a time."""
        for file in self.folder.glob("[0-9a-f][0-9a-f]/*"):
            if len(file.name) == 2 * sha256().digest_size and _older(file, moment):
                yield Digest(bytes.fromhex(file.name))

    def remove(self, digest: Digest, *, before: datetime) -> bool:
        """Whether the blob is gone now; not if it was put again after a time, or is not there."""
        place = self.path(digest)
        with self._locked(fcntl.LOCK_EX):
            if not _older(place, before):
                return False
            place.unlink()
        return True

    def remove_drafts(self, *, before: datetime) -> int:
        """How many drafts were removed that nobody has written to since a time."""
        left = [one for one in (self.folder / DRAFTS).glob("*") if _older(one, before)]
        for one in left:
            one.unlink(missing_ok=True)
        return len(left)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Many may put at once, and meanwhile nobody removes."""
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, how)
            yield
        finally:
            os.close(folder)


def _older(file: Path, moment: datetime) -> bool:
    try:
        return file.stat().st_mtime < moment.timestamp()
    except FileNotFoundError:
        return False
