"""What a manifest of ours may say, and nothing else: there is no field for a prompt or a person."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from provenance.manifest.errors import BadClaim
from provenance.manifest.finding import Binding

WEIGHTS = "countermark.weights"  # our one field of our own: the digest in hexadecimal
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/+-]{0,63}")
_ALGORITHM = re.compile(r"[a-z0-9-]+(\.[A-Za-z0-9_-]+)+")  # a namespace of its maker's
_MAX_ALGORITHM = 100
_MAX_VALUE = 128  # bytes
_DIGEST = 32


@dataclass(frozen=True)
class Model:
    """What drew the picture: a name, a version, and the SHA-256 of its weights."""

    name: str
    version: str
    digest: bytes


@dataclass(frozen=True)
class Claim:
    """One picture, made by a model, or brought to be marked: then `model` is None.

    `mark` is None only where a policy leaves pictures unmarked; `looks` binds by a fingerprint.
    `manifest` is the number under which the manifest can be asked for: draw it at random (version
    4), and say it in the record. `when` is UTC in whole seconds, by our own clock.
    """

    manifest: UUID
    when: datetime
    model: Model | None
    mark: Binding | None
    looks: Binding | None = None

    def __post_init__(self) -> None:
        if self.manifest.version != 4:
            raise BadClaim("a manifest's number is a random UUID, version 4")
        if self.when.tzinfo is not UTC or self.when.microsecond:
            raise BadClaim("a claim's time is in UTC and whole seconds")
        if self.model is not None:
            _check_model(self.model)
        elif self.mark is None:
            raise BadClaim("a picture that was neither made nor marked leaves nothing to claim")
        for binding in self.bindings:
            _check_binding(binding)

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """The soft bindings, the mark's first."""
        return tuple(one for one in (self.mark, self.looks) if one is not None)

    @property
    def label(self) -> str:
        """The manifest's name in its store, which a record gives (C2PA 2.4, section 8.2)."""
        return f"urn:c2pa:{self.manifest}"


def _check_model(model: Model) -> None:
    for name, value in (("name", model.name), ("version", model.version)):
        if not _NAME.fullmatch(value):
            raise BadClaim(f"a model's {name} is plain and short, not {value[:80]!r}")
    if len(model.digest) != _DIGEST:
        raise BadClaim(f"a model's digest has {_DIGEST} bytes, not {len(model.digest)}")


def _check_binding(one: Binding) -> None:
    if len(one.algorithm) > _MAX_ALGORITHM or not _ALGORITHM.fullmatch(one.algorithm):
        raise BadClaim(f"a soft binding's algorithm is like org.example.mark.1: {one.algorithm!r}")
    if not 0 < len(one.value) <= _MAX_VALUE:
        raise BadClaim(f"a soft binding's value has 1 to {_MAX_VALUE} bytes, not {len(one.value)}")
