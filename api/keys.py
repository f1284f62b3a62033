"""The keys that the door needs, as their file has them now: rotated, retired and revoked ones too.

The file is looked at once in LOOK seconds at most, and read again only if it is another. A file
that cannot be read lets nobody in, for it might say that a key is no longer good.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from api.problems import Kind, Problem
from provenance import keyring
from provenance.keyring import BadKeyring, Keyring
from provenance.keys import Key, Purpose
from provenance.ledger.note import Verifier

LOOK = 1.0  # seconds between two looks at the file
LOG = logging.getLogger("countermark.api")
_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Known:
    """Public halves and token keys, the active one first."""

    tokens: tuple[Key, ...]
    log: tuple[Verifier, ...]  # every key the log ever signed with


class Keys:
    """The keys of a file; raises BadKeyring if it cannot be read at first."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._lock = threading.Lock()
        self._looked, self._stamp = clock(), _stamp(file)
        self._known: Known | None = _known(keyring.load(file))

    def now(self) -> Known:
        """The keys of at most LOOK seconds ago; raises the problem that none are known."""
        with self._lock:
            if self._clock() - self._looked >= LOOK:
                self._looked = self._clock()
                self._look()
            if self._known is None:
                raise Problem(Kind.UNAVAILABLE, "the keys of the installation cannot be read")
            return self._known

    def _look(self) -> None:
        stamp = _stamp(self._file)  # before reading: a change in between is seen the next time
        if stamp == self._stamp and self._known is not None:
            return
        try:
            self._known = _known(keyring.load(self._file))
        except BadKeyring as e:
            LOG.error("nobody is let in: %s", e)
            self._known = None
        self._stamp = stamp


def _stamp(file: Path) -> _Stamp | None:
    """What tells one version of the file from the next, which has another inode."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _known(ring: Keyring) -> Known:
    accepted = ring.checking(Purpose.TOKEN)
    return Known(tuple(sorted(accepted, key=lambda key: -key.epoch)), ring.log_verifiers())
