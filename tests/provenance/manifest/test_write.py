"""What is signed is what both readers read; what cannot be signed is refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from cryptography import x509

from provenance.keys import claim_material
from provenance.manifest.claim import Claim, Model
from provenance.manifest.container import MAX_STORE, Kind, frame, scan
from provenance.manifest.encoding import parse_map
from provenance.manifest.errors import (
    AlreadySigned,
    BadClaim,
    NotEmbeddable,
    SignerFailed,
    TooLarge,
    Unsupported,
)
from provenance.manifest.finding import Binding, Reason, State
from provenance.manifest.jumbf import (
    COMPRESSED,
    MANIFEST,
    STORE,
    format_box,
    format_superbox,
    parse_superbox,
)
from provenance.manifest.parent import Parent, parent_of
from provenance.manifest.read import Trust, read, read_parent
from provenance.manifest.write import sign
from provenance.pki import TEST_ORGANIZATION, issue_authority, issue_leaf
from tests.provenance.manifest.files import (
    KINDS,
    LONG_AGO,
    LOOKS,
    MARK,
    MODEL,
    NOW,
    Authority,
    decoded,
    make_claim,
    picture,
    signer_of,
)

MAX_BYTES = 2500


@pytest.mark.parametrize("kind", KINDS)
def test_signed_file_is_trusted_small_and_shows_the_same_picture(
    kind: Kind, authority: Authority, trust: Trust
) -> None:
    plain = picture(kind)
    signed = sign(plain, make_claim(), authority.signer)
    found = read(signed.file, trust, now=NOW)
    assert found.state is found.official.state is found.independent.state is State.TRUSTED
    assert decoded(signed.file) == decoded(plain)
    assert len(signed.file) - len(plain) <= MAX_BYTES
    assert scan(signed.file).store == signed.store


def test_statement_says_what_was_claimed(authority: Authority, trust: Trust) -> None:
    claim = make_claim()
    signed = sign(picture(Kind.PNG), claim, authority.signer)
    said = read(signed.file, trust, now=NOW).statement
    assert said is not None
    assert (said.label, said.claim_digest) == (signed.label, signed.claim_digest)
    assert said.label == f"urn:c2pa:{claim.manifest}"
    assert said.actions == ("c2pa.created", "c2pa.watermarked.bound")
    assert said.source_types == ("trainedAlgorithmicMedia", "")
    assert (said.when, said.model, said.model_digest) == (NOW, "icons-64 1.0", MODEL.digest)
    assert said.bindings == (MARK,)
    assert said.ingredients == ()
    assert TEST_ORGANIZATION.partition(",")[0] in said.signer
    assert said.key == claim_material(authority.signer.chain[0])


def test_manifest_has_the_fields_of_the_profile_and_no_others(authority: Authority) -> None:
    signed = sign(picture(Kind.PNG), make_claim(), authority.signer)
    manifest = parse_superbox(signed.store).children[-1]
    assertions = manifest.child("c2pa.assertions")
    claim = parse_map(manifest.child("c2pa.claim.v2").content(b"cbor"), what="claim")
    soft = parse_map(assertions.child("c2pa.soft-binding").content(b"cbor"), what="soft")
    actions = parse_map(assertions.child("c2pa.actions.v2").content(b"cbor"), what="actions")
    assert [box.label for box in assertions.children] == [
        "c2pa.actions.v2",
        "c2pa.soft-binding",
        "c2pa.hash.data",
    ]
    assert claim["claim_generator_info"]["specVersion"] == "2.4.0"
    assert set(claim) == {
        "instanceID",
        "claim_generator_info",
        "signature",
        "created_assertions",
        "alg",
    }
    assert soft == {"alg": MARK.algorithm, "blocks": [{"scope": {}, "value": MARK.value}]}
    assert actions["allActionsIncluded"] is True
    assert actions["actions"][0]["digitalSourceType"].endswith("/trainedAlgorithmicMedia")


@pytest.mark.parametrize("kind", KINDS)
def test_two_soft_bindings_are_read_by_both_and_the_manifest_stays_small(
    kind: Kind, authority: Authority, trust: Trust
) -> None:
    plain = picture(kind)
    signed = sign(plain, make_claim(looks=LOOKS), authority.signer)
    found = read(signed.file, trust, now=NOW)
    assert found.official.state is found.independent.state is State.TRUSTED
    assert found.statement is not None
    assert found.statement.bindings == (MARK, LOOKS)
    assert len(signed.file) - len(plain) <= MAX_BYTES


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("looks", [None, LOOKS])
def test_a_picture_that_was_brought_is_opened_and_marked_and_never_said_to_be_generated(
    kind: Kind, looks: Binding | None, authority: Authority, trust: Trust
) -> None:
    plain, parent = picture(Kind.PNG), read_parent(picture(kind), trust)
    claim = make_claim(model=None, looks=looks)
    signed = sign(plain, claim, authority.signer, parent=parent)
    found = read(signed.file, trust, now=NOW)
    assert found.official.state is found.independent.state is State.TRUSTED
    said = found.statement
    assert said is not None
    assert said.actions == ("c2pa.opened", "c2pa.transcoded", "c2pa.watermarked.bound")
    assert (set(said.source_types), said.model, said.model_digest) == ({""}, "", b"")
    assert said.when == NOW
    assert said.bindings == claim.bindings
    assert b"trainedAlgorithmicMedia" not in signed.store.replace(b"compositeWith", b"")
    assert len(signed.file) - len(plain) <= MAX_BYTES


def test_a_picture_that_was_brought_keeps_its_own_manifest(
    authority: Authority, trust: Trust
) -> None:
    first = sign(picture(Kind.JPEG), make_claim(1), authority.signer)
    parent = read_parent(first.file, trust)
    claim = make_claim(2, model=None)
    signed = sign(picture(Kind.PNG, seed=1), claim, authority.signer, parent=parent)
    found = read(signed.file, trust, now=NOW)
    assert found.state is State.TRUSTED, found.detail
    assert found.statement is not None
    assert found.statement.ingredients == (first.label,)
    kept = parse_superbox(signed.store).children[0].payload
    assert kept == parse_superbox(first.store).children[0].payload


def test_a_picture_that_was_brought_has_a_parent_and_a_mark(authority: Authority) -> None:
    with pytest.raises(BadClaim, match="has a parent"):
        sign(picture(Kind.PNG), make_claim(model=None), authority.signer)
    with pytest.raises(BadClaim, match="nothing to claim"):
        make_claim(model=None, mark=None)


def test_unmarked_picture_claims_no_mark(authority: Authority, trust: Trust) -> None:
    signed = sign(picture(Kind.PNG), make_claim(mark=None), authority.signer)
    found = read(signed.file, trust, now=NOW)
    assert found.state is State.TRUSTED
    assert found.statement is not None
    assert (found.statement.actions, found.statement.bindings) == (("c2pa.created",), ())


def test_chain_with_an_authority_between_is_trusted(authority: Authority, trust: Trust) -> None:
    between = issue_authority(authority.root, TEST_ORGANIZATION, now=NOW)
    signer = signer_of(issue_leaf(between, TEST_ORGANIZATION, now=NOW), between)
    signed = sign(picture(Kind.JPEG), make_claim(), signer)
    assert read(signed.file, trust, now=NOW).state is State.TRUSTED


@pytest.mark.parametrize("kind", KINDS)
def test_edit_keeps_the_manifests_of_its_parent(
    kind: Kind, authority: Authority, trust: Trust
) -> None:
    first = sign(picture(kind), make_claim(1), authority.signer)
    parent = read_parent(first.file, trust)
    second = sign(picture(Kind.PNG, seed=1), make_claim(2), authority.signer, parent=parent)
    found = read(second.file, trust, now=NOW)
    assert found.state is State.TRUSTED, found.detail
    assert found.statement is not None
    assert found.statement.ingredients == (first.label,)
    assert found.statement.actions[:2] == ("c2pa.opened", "c2pa.edited")
    assert found.statement.source_types[1] == "compositeWithTrainedAlgorithmicMedia"
    kept = [box.payload for box in parse_superbox(second.store).children]
    assert parse_superbox(first.store).children[0].payload == kept[0]


def test_edit_of_an_edit_keeps_both(authority: Authority, trust: Trust) -> None:
    file, labels = picture(Kind.PNG), []
    for number in (1, 2, 3):
        parent = read_parent(file, trust)
        signed = sign(picture(Kind.PNG), make_claim(number), authority.signer, parent=parent)
        file = signed.file
        labels.append(signed.label)
    assert read(file, trust, now=NOW).state is State.TRUSTED
    assert [box.label for box in parse_superbox(scan(file).store or b"").children] == labels


def test_edit_of_an_invalid_parent_says_so_and_is_trusted_itself(
    authority: Authority, trust: Trust
) -> None:
    file = bytearray(sign(picture(Kind.PNG), make_claim(1), authority.signer).file)
    file[-14] ^= 1  # the checksum of the last scanlines
    parent = read_parent(bytes(file), trust)
    failures = parent.ingredient["validationResults"]["activeManifest"]["failure"]
    assert [row["code"] for row in failures] == ["assertion.dataHash.mismatch"]
    signed = sign(picture(Kind.PNG), make_claim(2), authority.signer, parent=parent)
    assert read(signed.file, trust, now=NOW).state is State.TRUSTED


def test_parent_swapped_after_signing_is_found(authority: Authority, trust: Trust) -> None:
    first = sign(picture(Kind.PNG), make_claim(1), authority.signer)
    other = sign(picture(Kind.PNG, seed=3), make_claim(1), authority.signer)
    parent = read_parent(first.file, trust)
    signed = sign(picture(Kind.PNG), make_claim(2), authority.signer, parent=parent)
    ours = format_box(b"jumb", parse_superbox(first.store).children[0].payload)
    theirs = format_box(b"jumb", parse_superbox(other.store).children[0].payload)
    assert len(ours) == len(theirs)
    assert ours in signed.file
    swapped = read(_repaired(signed.file.replace(ours, theirs)), trust, now=NOW)
    assert swapped.state is not State.TRUSTED
    assert swapped.independent.state is State.INVALID


def test_sign_refuses_a_file_that_is_signed(authority: Authority) -> None:
    signed = sign(picture(Kind.WEBP), make_claim(), authority.signer)
    with pytest.raises(AlreadySigned):
        sign(signed.file, make_claim(2), authority.signer)


def test_grandparent_changed_after_signing_is_found(authority: Authority, trust: Trust) -> None:
    file = picture(Kind.PNG)
    for number in (1, 2, 3):
        parent = read_parent(file, trust)
        file = sign(picture(Kind.PNG), make_claim(number), authority.signer, parent=parent).file
    assert read(file, trust, now=NOW).state is State.TRUSTED
    oldest = parse_superbox(scan(file).store or b"").children[0].payload
    changed = oldest[:-1] + bytes([oldest[-1] ^ 1])  # a bit of its signature
    seen = read(_repaired(file.replace(oldest, changed)), trust, now=NOW)
    assert seen.state is State.INVALID
    assert seen.independent.reason is Reason.ASSERTION_MISMATCH
    assert seen.official.detail, "the library says what failed in an ingredient"


def test_store_with_a_manifest_missing_or_over_is_malformed(
    authority: Authority, trust: Trust
) -> None:
    parent = read_parent(sign(picture(Kind.PNG), make_claim(1), authority.signer).file, trust)
    stray = format_superbox(MANIFEST, "urn:c2pa:stray")
    twice = parent.manifests * 2
    for manifests in ((), (stray, *parent.manifests), twice):
        wrong = Parent(parent.ingredient, manifests)
        file = sign(picture(Kind.PNG), make_claim(2), authority.signer, parent=wrong).file
        seen = read(file, trust, now=NOW)
        assert seen.state is not State.TRUSTED
        assert seen.independent.reason is Reason.MALFORMED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [0, 1, 20, 100])
def test_sign_refuses_a_file_cut_short(kind: Kind, keep: int, authority: Authority) -> None:
    whole = picture(kind)
    sign(whole, make_claim(), authority.signer)
    with pytest.raises(NotEmbeddable):
        sign(whole[:keep], make_claim(), authority.signer)


def test_sign_refuses_another_kind_of_file(authority: Authority) -> None:
    with pytest.raises(NotEmbeddable, match="not a PNG, JPEG or WebP"):
        sign(b"GIF89a" + bytes(100), make_claim(), authority.signer)


@dataclass(frozen=True)
class Liar:
    """A signer whose answers are not signatures by its key."""

    chain: tuple[x509.Certificate, ...]
    answer: bytes

    def sign(self, message: bytes) -> bytes:
        assert message.startswith(b"\x84\x6aSignature1")
        return self.answer


@pytest.mark.parametrize("answer", [b"", bytes(63), bytes(64), bytes(65), b"\1" * 64])
def test_sign_refuses_an_answer_that_is_no_signature(answer: bytes, authority: Authority) -> None:
    with pytest.raises(SignerFailed, match="not a signature of its key"):
        sign(picture(Kind.PNG), make_claim(), Liar(authority.signer.chain, answer))


class Outage(Exception):
    """What a key service raises."""


@dataclass(frozen=True)
class Broken:
    """A signer whose key service is down."""

    chain: tuple[x509.Certificate, ...]

    def sign(self, message: bytes) -> bytes:
        raise Outage(f"no answer to {len(message)} bytes")


def test_what_the_signer_raises_comes_through(authority: Authority) -> None:
    with pytest.raises(Outage, match="no answer"):
        sign(picture(Kind.PNG), make_claim(), Broken(authority.signer.chain))


def test_sign_refuses_an_expired_certificate(authority: Authority) -> None:
    later = NOW + timedelta(days=366)
    with pytest.raises(SignerFailed, match="expired certificate"):
        sign(picture(Kind.PNG), make_claim(when=later), authority.signer)
    with pytest.raises(SignerFailed, match="expired certificate"):
        sign(picture(Kind.PNG), make_claim(when=LONG_AGO), authority.signer)


def test_sign_refuses_parents_over_the_limit(authority: Authority) -> None:
    heavy = Parent({"relationship": "parentOf"}, (bytes(MAX_STORE),))
    with pytest.raises(TooLarge, match="at most"):
        sign(picture(Kind.PNG), make_claim(), authority.signer, parent=heavy)


def test_manifest_longer_than_a_jpeg_segment_is_read_back(
    authority: Authority, trust: Trust
) -> None:
    file, number = picture(Kind.JPEG), 0
    while len(scan(file).store or b"") < 70_000:
        number += 1
        parent = parent_of(scan(file), {})
        file = sign(picture(Kind.JPEG), make_claim(number), authority.signer, parent=parent).file
    assert read(file, trust, now=NOW).state is State.TRUSTED


def test_compressed_parent_is_refused_by_name(authority: Authority) -> None:
    found = scan(sign(picture(Kind.PNG), make_claim(), authority.signer).file)
    store = format_superbox(STORE, "c2pa", format_superbox(COMPRESSED, "urn:c2pa:x"))
    with pytest.raises(Unsupported, match="compressed"):
        parent_of(type(found)(Kind.PNG, store), {})


@pytest.mark.parametrize(
    ("model", "mark"),
    [
        (Model("", "1", bytes(32)), MARK),
        (Model("a\nb", "1", bytes(32)), MARK),
        (Model("x" * 65, "1", bytes(32)), MARK),
        (Model("m", "", bytes(32)), MARK),
        (Model("m", "1", bytes(31)), MARK),
        (MODEL, Binding("nodots", b"v")),
        (MODEL, Binding("org.example.\n", b"v")),
        (MODEL, Binding("org.example.1", b"")),
        (MODEL, Binding("org.example.1", bytes(129))),
    ],
)
def test_claim_refuses_one_thing_wrong(model: Model, mark: Binding) -> None:
    Claim(uuid4(), NOW, MODEL, MARK)
    with pytest.raises(BadClaim):
        Claim(uuid4(), NOW, model, mark)


def test_claim_refuses_a_number_or_a_time_that_says_more_than_it_should() -> None:
    with pytest.raises(BadClaim, match="version 4"):
        Claim(UUID(int=1, version=1), NOW, MODEL, MARK)
    with pytest.raises(BadClaim, match="UTC"):
        Claim(uuid4(), NOW.replace(tzinfo=None), MODEL, MARK)
    with pytest.raises(BadClaim, match="whole seconds"):
        Claim(uuid4(), NOW.replace(microsecond=1), MODEL, MARK)


def _repaired(png: bytes) -> bytes:
    """A PNG file with the checksum of its manifest's chunk made right."""
    at = png.index(b"caBX") - 4
    size = int.from_bytes(png[at : at + 4], "big")
    store = png[at + 8 : at + 8 + size]
    return png[:at] + frame(Kind.PNG, store) + png[at + 12 + size :]
