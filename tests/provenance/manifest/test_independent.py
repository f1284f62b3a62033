"""What a trusted signer could sign and must not be believed for: the second reader sees each."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from provenance.manifest import cose
from provenance.manifest.container import Kind, embed, frame, slot
from provenance.manifest.encoding import format_cbor, parse_map
from provenance.manifest.finding import Opinion, Reason, State
from provenance.manifest.independent import judge
from provenance.manifest.jumbf import (
    ASSERTIONS,
    CBOR,
    CLAIM,
    MANIFEST,
    SIGNATURE,
    STORE,
    Superbox,
    format_box,
    format_superbox,
    parse_superbox,
)
from provenance.manifest.write import sign
from tests.provenance.manifest.files import NOW, Authority, make_claim, picture

Contents = dict[str, Any]
Edit = Callable[[Contents, dict[str, Contents]], None]
PLAIN = picture(Kind.PNG)


def forge(authority: Authority, edit: Edit) -> bytes:
    """A file whose claim and assertions were edited, then signed by the real key all the same."""
    manifest = parse_superbox(sign(PLAIN, make_claim(), authority.signer).store).children[0]
    claim = _content(manifest.child("c2pa.claim.v2"))
    said = {b.label: _content(b) for b in manifest.child("c2pa.assertions").children}
    edit(claim, said)
    binding = said.get("c2pa.hash.data", {})
    store = b""
    store = b""
    for _ in range(4):  # the manifest states its own length
        boxes = {k: format_superbox(CBOR, k, _cbor(v)) for k, v in said.items()}
        for uri in claim["created_assertions"]:
            name = uri["url"].rpartition("/")[2]
            uri["hash"] = sha256(boxes[name][8:]).digest() if name in boxes else bytes(32)
        store = _store(authority, manifest.label, claim, list(boxes.values()))
        if binding:
            length = len(frame(Kind.PNG, store)) + binding.get("more", 0)
            binding["exclusions"][0]["length"] = length
    return embed(PLAIN, store)


def _store(authority: Authority, label: str, claim: Contents, boxes: list[bytes]) -> bytes:
    protected = cose.format_protected(authority.signer.chain)
    signed = format_cbor(claim)
    signature = authority.signer.sign(cose.to_be_signed(protected, signed))
    sign1 = format_box(b"cbor", cose.format_sign1(protected, signature))
    return format_superbox(
        STORE,
        "c2pa",
        format_superbox(
            MANIFEST,
            label,
            format_superbox(ASSERTIONS, "c2pa.assertions", *boxes),
            format_superbox(CLAIM, "c2pa.claim.v2", format_box(b"cbor", signed)),
            format_superbox(SIGNATURE, "c2pa.signature", sign1),
        ),
    )


def _content(box: Superbox) -> Contents:
    return parse_map(box.content(b"cbor"), what=box.label)


def _cbor(value: Contents) -> bytes:
    return format_box(b"cbor", format_cbor(value))


def opinion(authority: Authority, edit: Edit) -> Opinion:
    return judge(forge(authority, edit), [authority.root.certificate], now=NOW)[0]


def nothing(claim: Contents, said: dict[str, Contents]) -> None:
    """An edit that edits nothing."""


def test_forge_makes_sound_files_if_nothing_is_edited(authority: Authority) -> None:
    assert opinion(authority, nothing) == Opinion(State.TRUSTED)


def test_hash_that_leaves_out_more_than_the_manifest_is_unbound(authority: Authority) -> None:
    """Else a signer could bind a manifest to any picture of the same first bytes."""
    at = slot(PLAIN)

    def widen(claim: Contents, said: dict[str, Contents]) -> None:
        said["c2pa.hash.data"] |= {"more": len(PLAIN) - at, "hash": sha256(PLAIN[:at]).digest()}

    seen = opinion(authority, widen)
    assert (seen.state, seen.reason) == (State.UNBOUND, Reason.HASH_MISMATCH)
    assert "elsewhere" in seen.detail


def add_unnamed(claim: Contents, said: dict[str, Contents]) -> None:
    said["org.example.stowaway"] = {}


def name_absent(claim: Contents, said: dict[str, Contents]) -> None:
    url = "self#jumbf=c2pa.assertions/org.example.absent"
    claim["created_assertions"].append({"url": url, "hash": b""})


def name_twice(claim: Contents, said: dict[str, Contents]) -> None:
    claim["created_assertions"].append(dict(claim["created_assertions"][0]))


def point_outside(claim: Contents, said: dict[str, Contents]) -> None:
    claim["signature"] = "self#jumbf=/c2pa/urn:c2pa:other/c2pa.signature"


def drop_binding(claim: Contents, said: dict[str, Contents]) -> None:
    claim["created_assertions"].pop()
    del said["c2pa.hash.data"]


def another_hash(claim: Contents, said: dict[str, Contents]) -> None:
    claim["alg"] = "sha512"


def redact(claim: Contents, said: dict[str, Contents]) -> None:
    claim["redacted_assertions"] = ["self#jumbf=c2pa.assertions/x"]


def crowd(claim: Contents, said: dict[str, Contents]) -> None:
    for number in range(100):
        said[f"org.example.n{number}"] = {}
        url = f"self#jumbf=c2pa.assertions/org.example.n{number}"
        claim["created_assertions"].append({"url": url, "hash": b""})


def many_stowaways(claim: Contents, said: dict[str, Contents]) -> None:
    said |= {f"org.example.n{number}": {} for number in range(100)}


def another_binding(claim: Contents, said: dict[str, Contents]) -> None:
    said["c2pa.hash.boxes"] = said.pop("c2pa.hash.data")
    claim["created_assertions"][-1]["url"] = "self#jumbf=c2pa.assertions/c2pa.hash.boxes"


def list_for_text(claim: Contents, said: dict[str, Contents]) -> None:
    said["c2pa.actions.v2"]["actions"][0]["action"] = []


@pytest.mark.parametrize(
    ("edit", "state"),
    [
        (add_unnamed, State.INVALID),
        (name_absent, State.INVALID),
        (name_twice, State.INVALID),
        (point_outside, State.INVALID),
        (drop_binding, State.INVALID),
        (list_for_text, State.INVALID),
        (another_hash, State.UNCONFIRMED),
        (redact, State.UNCONFIRMED),
        (crowd, State.UNCONFIRMED),
        (many_stowaways, State.UNCONFIRMED),
        (another_binding, State.UNCONFIRMED),
    ],
)
def test_signed_manifest_with_one_thing_wrong_is_not_believed(
    edit: Edit, state: State, authority: Authority
) -> None:
    assert opinion(authority, edit).state is state
