"""Sign what we say about a picture into its file: C2PA 2.4, claim version 2.

The manifest is written here byte by byte, without padding, without thumbnails, and with no address
to fetch; docs/manifest.md says why the C2PA library does not write it. The signature is checked
under its own certificate before anything is given out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from typing import Any, Protocol

import cbor2
from cryptography import x509

from provenance.manifest import cose
from provenance.manifest.chain import Refused, check_leaf
from provenance.manifest.claim import WEIGHTS, Claim, Model
from provenance.manifest.container import MAX_STORE, Kind, embed, frame, slot, sniff
from provenance.manifest.encoding import format_cbor
from provenance.manifest.errors import BadClaim, SignerFailed, TooLarge
from provenance.manifest.jumbf import (
    ASSERTIONS,
    CBOR,
    CLAIM,
    MANIFEST,
    SIGNATURE,
    STORE,
    format_box,
    format_superbox,
)
from provenance.manifest.parent import Parent

SPEC_VERSION = "2.4.0"
_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_GENERATED = _SOURCE + "trainedAlgorithmicMedia"
_COMPOSITE = _SOURCE + "compositeWithTrainedAlgorithmicMedia"
_URI = "self#jumbf="


class Signer(Protocol):
    """Whoever holds the key of claims: a file, a token, a key service."""

    @property
    def chain(self) -> Sequence[x509.Certificate]:
        """Leaf first, every authority but the root."""

    def sign(self, message: bytes) -> bytes:
        """ES256 over the message: r and s, 32 bytes each (RFC 9053, section 2.1)."""


@dataclass(frozen=True)
class Signed:
    """A signed file, its manifest store, and what identifies the manifest.

    The digest of the file does not: ECDSA signatures have a twin, so do not look a file up by it.
    """

    file: bytes
    store: bytes
    label: str
    claim_digest: bytes  # SHA-256 of the claim as signed


def sign(data: bytes, claim: Claim, signer: Signer, *, parent: Parent | None = None) -> Signed:
    """The file, PNG, JPEG or WebP, with the claim signed into it.

    Raises NotEmbeddable or AlreadySigned for the file, BadClaim for a picture brought without a
    parent, TooLarge for parents over the limit, and SignerFailed; what the signer itself raises
    comes through.
    """
    if claim.model is None and parent is None:
        raise BadClaim("a picture that was brought has a parent: the file it was")
    start = slot(data)
    kind = sniff(data)
    assert kind is not None, "slot() sniffed it"
    draft = _Draft(claim, signer, parent)
    length = draft.length(kind, start)
    blank = draft.store(_binding(start, length, bytes(32)), bytes(cose.SIGNATURE_BYTES))
    if len(blank) > MAX_STORE:
        raise TooLarge(f"a manifest of {len(blank)} bytes, at most {MAX_STORE} are written")
    binding = _binding(start, length, digest_without(embed(data, blank), start, length))
    signature = draft.sign(binding)
    store = draft.store(binding, signature)
    digest = sha256(draft.claim(binding)).digest()
    return Signed(embed(data, store), store, claim.label, digest)


def digest_without(file: bytes, start: int, length: int) -> bytes:
    """SHA-256 of a file without the bytes where its manifest lies."""
    view = memoryview(file)
    digest = sha256(view[:start])
    digest.update(view[start + length :])
    return digest.digest()


class _Draft:
    """All of a manifest but its hash over the file and its signature."""

    def __init__(self, claim: Claim, signer: Signer, parent: Parent | None) -> None:
        try:
            self._public = check_leaf(signer.chain[0], now=claim.when)
        except Refused as e:
            raise SignerFailed(f"the signer's certificate: {e.reason}, {e}") from e
        self._signer = signer
        self._label = claim.label
        self._protected = cose.format_protected(signer.chain)
        self._parents = parent.manifests if parent else ()
        self._assertions = tuple(_assertions(claim, parent))
        self._instance = f"xmp:iid:{claim.manifest}"

    def length(self, kind: Kind, start: int) -> int:
        """Bytes of the manifest in the file; the manifest states it, so it is found by trying."""
        length = 0
        while True:
            store = self.store(_binding(start, length, bytes(32)), bytes(cose.SIGNATURE_BYTES))
            if (framed := len(frame(kind, store))) == length:
                return length
            length = framed

    def claim(self, binding: bytes) -> bytes:
        """The bytes that are signed."""
        return format_cbor(
            {
                "instanceID": self._instance,
                "claim_generator_info": {
                    "name": "Countermark",
                    "version": _version(),
                    "specVersion": SPEC_VERSION,
                },
                "signature": f"{_URI}/c2pa/{self._label}/c2pa.signature",
                "created_assertions": [
                    _hashed(f"{_URI}c2pa.assertions/{label}", box)
                    for label, box in self._labelled(binding)
                ],
                "alg": "sha256",
            }
        )

    def sign(self, binding: bytes) -> bytes:
        message = cose.to_be_signed(self._protected, self.claim(binding))
        signature = self._signer.sign(message)
        try:
            cose.check_signature(self._public, signature, message)
        except cose.NotSigned as e:
            raise SignerFailed(f"the signer's answer is not a signature of its key: {e}") from e
        return signature

    def store(self, binding: bytes, signature: bytes) -> bytes:
        boxes = [box for _, box in self._labelled(binding)]
        sign1 = cose.format_sign1(self._protected, signature)
        manifest = format_superbox(
            MANIFEST,
            self._label,
            format_superbox(ASSERTIONS, "c2pa.assertions", *boxes),
            format_superbox(CLAIM, "c2pa.claim.v2", format_box(b"cbor", self.claim(binding))),
            format_superbox(SIGNATURE, "c2pa.signature", format_box(b"cbor", sign1)),
        )
        return format_superbox(STORE, "c2pa", *self._parents, manifest)

    def _labelled(self, binding: bytes) -> list[tuple[str, bytes]]:
        return [*self._assertions, ("c2pa.hash.data", binding)]


def _assertions(claim: Claim, parent: Parent | None) -> list[tuple[str, bytes]]:
    """Label and box of everything said, but for the hash over the file."""
    said, opened = [], None
    if parent is not None:
        ingredient = _assertion("c2pa.ingredient.v3", parent.ingredient)
        said.append(("c2pa.ingredient.v3", ingredient))
        place = _hashed(f"{_URI}c2pa.assertions/c2pa.ingredient.v3", ingredient)
        opened = {"action": "c2pa.opened", "parameters": {"ingredients": [place]}}
    document = {"actions": _actions(claim, opened), "allActionsIncluded": True}
    said.append(("c2pa.actions.v2", _assertion("c2pa.actions.v2", document)))
    for number, binding in enumerate(claim.bindings):
        label = f"c2pa.soft-binding__{number}" if number else "c2pa.soft-binding"
        block = {"scope": {}, "value": binding.value}
        soft = {"alg": binding.algorithm, "blocks": [block]}
        said.append((label, _assertion(label, soft)))
    return said


def _actions(claim: Claim, opened: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What was done to the picture; how one that was brought came about is not for us to say."""
    when = {"when": cbor2.CBORTag(0, f"{claim.when:%Y-%m-%dT%H:%M:%SZ}")}
    marked = {"action": "c2pa.watermarked.bound"}
    if claim.model is None:
        assert opened is not None, "sign() asked for a parent"
        return [opened, {"action": "c2pa.transcoded", **when}, marked]
    made = {**when, "softwareAgent": _agent(claim.model)}
    if opened is None:
        actions = [{"action": "c2pa.created", **made, "digitalSourceType": _GENERATED}]
    else:
        actions = [opened, {"action": "c2pa.edited", **made, "digitalSourceType": _COMPOSITE}]
    return actions if claim.mark is None else [*actions, marked]


def _agent(model: Model) -> dict[str, str]:
    return {"name": model.name, "version": model.version, WEIGHTS: model.digest.hex()}


def _binding(start: int, length: int, digest: bytes) -> bytes:
    """The hash over the file without its manifest (C2PA 2.4, section 18.5)."""
    return _assertion(
        "c2pa.hash.data",
        {
            "exclusions": [{"start": start, "length": length}],
            "name": "jumbf manifest",
            "alg": "sha256",
            "hash": digest,
            "pad": b"",
        },
    )


def _assertion(label: str, document: dict[str, Any]) -> bytes:
    return format_superbox(CBOR, label, format_box(b"cbor", format_cbor(document)))


def _hashed(url: str, box: bytes) -> dict[str, Any]:
    """A hashed URI (C2PA 2.4, section 8.3): the hash is over the box without its header."""
    return {"url": url, "hash": sha256(box[8:]).digest()}


@cache
def _version() -> str:
    return version("countermark")
