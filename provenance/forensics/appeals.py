"""Pictures that an answer was wrong about, kept so that no later member repeats it.

An appeal is a file and what it is known to be. They lie in one folder, each under its SHA-256,
beside `appeals.json`. A member with its calibration passes if it claims nothing about the
photographs among them, and says of the drawn ones that they were drawn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from provenance.errors import ProvenanceError
from provenance.files import locked, write_file
from provenance.forensics.answer import Classifier, Outcome
from provenance.image import read_file, read_image

INDEX = "appeals.json"


class BadAppeals(ProvenanceError):
    """A folder of appeals that is not whole."""


class Truth(StrEnum):
    """What a picture is known to be."""

    PHOTOGRAPH = "photograph"
    DRAWN = "drawn"


@dataclass(frozen=True)
class Appeal:
    """A picture by digest, what it is, and where it came from."""

    file: str  # SHA-256, in hex
    truth: Truth
    note: str


@dataclass(frozen=True)
class Failure:
    """An appeal that a member fails, and what it says of it."""

    appeal: Appeal
    says: Outcome


def add(folder: Path, file: Path, truth: Truth, note: str) -> Appeal:
    """Keep a picture; raises Unreadable if it is none, BadAppeals if it is there as the other."""
    data = read_file(file)
    read_image(data, name=str(file))
    appeal = Appeal(sha256(data).hexdigest(), truth, note)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        known = {one.file: one for one in read_appeals(folder)}
        if appeal.file in known and known[appeal.file].truth is not truth:
            raise BadAppeals(f"{file}: already appealed as {known[appeal.file].truth}")
        write_file(folder / appeal.file, data)
        rows = [vars(one) for one in ({**known, appeal.file: appeal}).values()]
        write_file(folder / INDEX, (json.dumps(rows, indent=1) + "\n").encode())
    return appeal


def read_appeals(folder: Path) -> list[Appeal]:
    """All that were kept, in the order they came; raises BadAppeals."""
    path = folder / INDEX
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text())
        return [Appeal(row["file"], Truth(row["truth"]), row["note"]) for row in rows]
    except (ValueError, KeyError, TypeError) as e:
        raise BadAppeals(f"{path}: not a list of appeals: {e}") from e


def failures(folder: Path, classifier: Classifier) -> Iterator[Failure]:
    """The appeals that a classifier fails; raises BadAppeals if a file is gone or altered."""
    for appeal in read_appeals(folder):
        path = folder / appeal.file
        data = read_file(path)
        if sha256(data).hexdigest() != appeal.file:
            raise BadAppeals(f"{path}: not the file that was appealed")
        says = classifier.answer(read_image(data, name=str(path))).outcome
        claimed = says in (Outcome.EVIDENCE, Outcome.OWN)
        if claimed is (appeal.truth is Truth.PHOTOGRAPH):
            yield Failure(appeal, says)
