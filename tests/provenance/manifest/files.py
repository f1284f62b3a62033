"""Small pictures in each container, a test authority, and claims about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import UUID

import numpy as np
from PIL import Image

from provenance.manifest.claim import Claim, Model
from provenance.manifest.container import Kind
from provenance.manifest.finding import Binding
from provenance.pki import TEST_ORGANIZATION, FileSigner, Issued, issue_leaf, make_root, pem

NOW = datetime.now(UTC).replace(microsecond=0)  # the library judges by the machine's clock
LONG_AGO = NOW - timedelta(days=800)
MODEL = Model("icons-64", "1.0", bytes(range(32)))
MARK = Binding("org.example.countermark.pairs.1", b"key-1:7")
LOOKS = Binding("org.example.looks.1", bytes(range(32)))
KINDS = list(Kind)
_FORMATS = {Kind.PNG: "PNG", Kind.JPEG: "JPEG", Kind.WEBP: "WEBP"}


@dataclass(frozen=True)
class Authority:
    """A root of a test, and the signer of its one leaf."""

    root: Issued
    signer: FileSigner

    @property
    def anchors(self) -> bytes:
        return pem([self.root.certificate])


def make_authority(now: datetime = NOW) -> Authority:
    root = make_root(TEST_ORGANIZATION, now=now)
    return Authority(root, signer_of(issue_leaf(root, TEST_ORGANIZATION, now=now)))


def signer_of(leaf: Issued, *above: Issued) -> FileSigner:
    return FileSigner((leaf.certificate, *(one.certificate for one in above)), leaf.key)


def picture(kind: Kind, *, seed: int = 0, side: int = 48) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(values).save(file, _FORMATS[kind])
    return file.getvalue()


def decoded(data: bytes) -> bytes:
    """The pixels that a viewer shows."""
    return Image.open(BytesIO(data)).convert("RGB").tobytes()


def make_claim(
    number: int = 1,
    *,
    when: datetime = NOW,
    model: Model | None = MODEL,
    mark: Binding | None = MARK,
    looks: Binding | None = None,
) -> Claim:
    return Claim(UUID(int=number << 80 | 1, version=4), when, model, mark, looks)
