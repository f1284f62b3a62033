"""The second reader: one manifest judged in plain Python, sharing no code with the C2PA library.

It reads what we write and a little more: claim version 2, uncompressed, a SHA-256 hash over the
file, ES256. Everything else that the specification allows is UNCONFIRMED here. It is stricter than
the library: a byte that no signature covers must have its one value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from cryptography import x509

from provenance.manifest import cose
from provenance.manifest.chain import Refused, check_leaf, check_path
from provenance.manifest.container import Scan, scan
from provenance.manifest.encoding import parse_map
from provenance.manifest.errors import Malformed, TooLarge, Unsupported
from provenance.manifest.finding import Opinion, Reason, State, Statement
from provenance.manifest.jumbf import (
    ASSERTIONS,
    CLAIM,
    MANIFEST,
    SIGNATURE,
    STORE,
    Superbox,
    parse_superbox,
)
from provenance.manifest.statement import state_claim

_HARD_BINDING = "c2pa.hash."
_REMOTE = b"dcterms:provenance"
_MAX_ASSERTIONS = 100  # ours have five at most


@dataclass(frozen=True)
class _Sound:
    """A manifest that was signed and not changed since; whose it is and of what is open."""

    statement: Statement
    chain: tuple[x509.Certificate, ...]
    assertions: dict[str, Superbox]


def judge(
    data: bytes, anchors: Sequence[x509.Certificate], *, now: datetime
) -> tuple[Opinion, Statement | None]:
    """What this reader makes of a file, and what its manifest says if that was signed."""
    try:
        found = scan(data)
        if found.store is None:
            return _without_store(found), None
        sound = _read_manifest(found.store, now)
        elsewhere = _find_change(data, found, sound.assertions)
    except TooLarge as e:
        return Opinion(State.INVALID, Reason.TOO_LARGE, str(e)), None
    except Malformed as e:
        return Opinion(State.INVALID, Reason.MALFORMED, str(e)), None
    except Unsupported as e:
        return Opinion(State.UNCONFIRMED, Reason.UNSUPPORTED, str(e)), None
    except Refused as e:
        return Opinion(State.INVALID, e.reason, str(e)), None
    return _weigh(sound, anchors, elsewhere, now), sound.statement


def _weigh(
    sound: _Sound, anchors: Sequence[x509.Certificate], elsewhere: str | None, now: datetime
) -> Opinion:
    """The opinion about a sound manifest, by its signer and by what changed in the file."""
    try:
        check_path(sound.chain, anchors, now=now)
    except Refused as e:
        if elsewhere is None:
            return Opinion(State.UNTRUSTED, e.reason, str(e))
        return Opinion(State.INVALID, Reason.HASH_MISMATCH, elsewhere)
    if elsewhere is not None:
        return Opinion(State.UNBOUND, Reason.HASH_MISMATCH, elsewhere)
    return Opinion(State.TRUSTED)


def _without_store(found: Scan) -> Opinion:
    if _REMOTE in found.xmp:
        return Opinion(State.INVALID, Reason.REMOTE, "the manifest is elsewhere and not fetched")
    return Opinion(State.ABSENT)


def _read_manifest(store: bytes, now: datetime) -> _Sound:
    """The active manifest; raises unless all holds but its signer's trust and the file's hash."""
    root = parse_superbox(store)
    if root.kind != STORE or root.label != "c2pa" or not root.children or root.contents:
        raise Malformed("not a manifest store")
    manifest = root.children[-1]
    if manifest.kind != MANIFEST:
        raise Unsupported("a compressed or update manifest")
    signed = _one(manifest, CLAIM, "c2pa.claim.v2").content(b"cbor")
    claim = parse_map(signed, what="claim")
    chain = _check_signature(manifest, claim, signed, now).chain
    assertions = _check_assertions(manifest, claim)
    _check_ancestors(root, manifest)
    digest = sha256(signed).digest()
    statement = state_claim(manifest.label, digest, claim, assertions, chain[0])
    return _Sound(statement, chain, assertions)


def _one(parent: Superbox, kind: bytes, label: str) -> Superbox:
    if parent.contents or len(parent.children) != 3:
        raise Unsupported("a manifest of more than assertions, claim and signature")
    box = parent.child(label)
    if box.kind != kind:
        raise Malformed(f"{label} is of the wrong type")
    return box


def _check_signature(
    manifest: Superbox, claim: dict[str, Any], signed: bytes, now: datetime
) -> cose.Sign1:
    place = f"self#jumbf=/c2pa/{manifest.label}/c2pa.signature"
    if claim.get("signature") not in (place, "self#jumbf=c2pa.signature"):
        raise Malformed("the claim names another signature than its manifest's")
    sign1 = cose.parse_sign1(_one(manifest, SIGNATURE, "c2pa.signature").content(b"cbor"))
    public = check_leaf(sign1.chain[0], now=now)
    try:
        message = cose.to_be_signed(sign1.protected, signed)
        cose.check_signature(public, sign1.signature, message)
    except cose.NotSigned as e:
        raise Refused(Reason.BAD_SIGNATURE, str(e)) from e
    return sign1


def _check_assertions(manifest: Superbox, claim: dict[str, Any]) -> dict[str, Superbox]:
    """Every assertion of the store by its label: each named by the claim, and hashed right."""
    if claim.get("alg") != "sha256" or claim.get("redacted_assertions"):
        raise Unsupported("a claim with another hash than SHA-256, or with redactions")
    store = _one(manifest, ASSERTIONS, "c2pa.assertions")
    named = [*_list(claim, "created_assertions"), *_list(claim, "gathered_assertions")]
    if len(named) > _MAX_ASSERTIONS or len(store.children) > _MAX_ASSERTIONS:
        raise Unsupported(f"more than {_MAX_ASSERTIONS} assertions")
    boxes = {}
    for uri in named:
        box = _resolve(manifest, store, uri)
        _check_hash(box, uri)
        boxes[box.label] = box
    if len(boxes) != len(named) or len(boxes) != len(store.children) or store.contents:
        raise Malformed("the assertions are not those that the claim names")
    return boxes


def _resolve(manifest: Superbox, store: Superbox, uri: Any) -> Superbox:
    url = uri.get("url") if isinstance(uri, dict) else None
    if not isinstance(url, str):
        raise Malformed("an assertion without an address")
    for prefix in ("self#jumbf=", f"self#jumbf=/c2pa/{manifest.label}/"):
        path = url.removeprefix(prefix)
        if path != url and path.startswith("c2pa.assertions/"):
            return store.child(path.removeprefix("c2pa.assertions/"))
    raise Malformed(f"an assertion outside its manifest: {url[:100]!r}")


def _check_hash(box: Superbox, uri: dict[str, Any]) -> None:
    if uri.get("alg", "sha256") != "sha256":
        raise Unsupported("a hash other than SHA-256")
    if uri.get("hash") != sha256(box.payload).digest():
        raise Refused(Reason.ASSERTION_MISMATCH, f"{box.label} was changed after it was signed")


def _find_change(data: bytes, found: Scan, assertions: dict[str, Superbox]) -> str | None:
    """How the file but for its manifest differs from the one that was signed; None: it does not."""
    bindings = [label for label in assertions if label.startswith(_HARD_BINDING)]
    if not bindings:
        raise Malformed("nothing binds the manifest to a file")
    if bindings != ["c2pa.hash.data"]:
        raise Unsupported(f"a binding by {', '.join(bindings)[:100]}")
    said = parse_map(assertions["c2pa.hash.data"].content(b"cbor"), what="c2pa.hash.data")
    if said.get("alg", "sha256") != "sha256":
        raise Unsupported("a hash other than SHA-256")
    if said.get("exclusions") != [{"start": found.start, "length": found.length}]:
        return "the manifest lies elsewhere than where it was signed"
    view = memoryview(data)
    digest = sha256(view[: found.start])
    digest.update(view[found.start + found.length :])
    if said.get("hash") != digest.digest():
        return "the file was changed after it was signed"
    return None


def _check_ancestors(root: Superbox, active: Superbox) -> None:
    """The other manifests are those that ingredients name, all there and as they were then."""
    others = {box.label: box for box in root.children[:-1]}
    if len(others) != len(root.children) - 1 or active.label in others:
        raise Malformed("two manifests of one name")
    waiting, reached = [active], {active.label}
    while waiting:
        for uri in _named_parents(waiting.pop()):
            label = uri["url"].removeprefix("self#jumbf=/c2pa/")
            if label not in others:
                raise Malformed("an ingredient whose manifest is not there")
            _check_hash(others[label], uri)
            if label not in reached:
                reached.add(label)
                waiting.append(others[label])
    if len(reached) != len(root.children):
        raise Malformed("a manifest that no ingredient names")


def _named_parents(manifest: Superbox) -> Iterator[dict[str, Any]]:
    for box in manifest.child("c2pa.assertions").children:
        if box.label.partition("__")[0] != "c2pa.ingredient.v3":
            continue
        uri = parse_map(box.content(b"cbor"), what="ingredient").get("activeManifest")
        if uri is None:
            continue
        if not isinstance(uri, dict) or not isinstance(uri.get("url"), str):
            raise Malformed("an ingredient without an address")
        yield uri


def _list(claim: dict[str, Any], name: str) -> list[Any]:
    value = claim.get(name, [])
    if not isinstance(value, list):
        raise Malformed(f"{name} is not a list")
    return value
