"""Each way a manifest can fail has its named finding, and both readers give it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from provenance.manifest.container import MAX_STORE, Kind, frame, scan
from provenance.manifest.errors import BadAnchors, Malformed, Unsupported, WrongProcess
from provenance.manifest.finding import CAVEATS, Opinion, Reason, State
from provenance.manifest.jumbf import STORE, format_box, format_superbox
from provenance.manifest.official import Library, all_settings
from provenance.manifest.read import Trust, compare, open_trust, read, read_parent
from provenance.manifest.write import sign
from provenance.manifest.xmp import embed_packet, format_packet
from provenance.pki import TEST_ORGANIZATION, issue_authority, issue_leaf, make_root, pem
from tests.provenance.manifest.files import (
    KINDS,
    LONG_AGO,
    NOW,
    Authority,
    make_authority,
    make_claim,
    picture,
    signer_of,
)


@pytest.mark.parametrize("kind", KINDS)
def test_unsigned_file_has_no_manifest(kind: Kind, trust: Trust) -> None:
    found = read(picture(kind), trust, now=NOW)
    assert (found.state, found.reason, found.statement) == (State.ABSENT, None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_changed_pixels_are_a_hash_mismatch(kind: Kind, authority: Authority, trust: Trust) -> None:
    signed = bytearray(sign(picture(kind), make_claim(), authority.signer).file)
    found = scan(bytes(signed))
    at = found.start // 2 if kind is Kind.WEBP else (found.start + found.length + len(signed)) // 2
    signed[at] ^= 1
    seen = read(bytes(signed), trust, now=NOW)
    assert (seen.state, seen.reason) == (State.UNBOUND, Reason.HASH_MISMATCH)
    assert seen.official.state is seen.independent.state is State.UNBOUND


@pytest.mark.parametrize("kind", KINDS)
def test_manifest_of_another_picture_is_a_hash_mismatch(
    kind: Kind, authority: Authority, trust: Trust
) -> None:
    store = sign(picture(kind), make_claim(), authority.signer).store
    other = sign(picture(kind, seed=9), make_claim(2), authority.signer)
    assert len(store) == len(other.store)
    moved = other.file.replace(frame(kind, other.store), frame(kind, store))
    seen = read(moved, trust, now=NOW)
    assert (seen.state, seen.reason) == (State.UNBOUND, Reason.HASH_MISMATCH)
    assert seen.statement is not None
    assert seen.statement.label == make_claim().label


@pytest.mark.parametrize("kind", KINDS)
def test_manifest_moved_to_another_place_is_a_hash_mismatch(
    kind: Kind, authority: Authority, trust: Trust
) -> None:
    store = sign(picture(kind), make_claim(), authority.signer).store
    seen = read(_with_store(picture(kind, side=60), kind, store), trust, now=NOW)
    assert (seen.state, seen.reason) == (State.UNBOUND, Reason.HASH_MISMATCH)


def test_changed_file_of_a_foreign_root_is_invalid(trust: Trust) -> None:
    signed = bytearray(sign(picture(Kind.PNG), make_claim(), make_authority().signer).file)
    signed[-14] ^= 1  # the checksum of the last scanlines
    seen = read(bytes(signed), trust, now=NOW)
    assert (seen.state, seen.reason) == (State.INVALID, Reason.HASH_MISMATCH)
    assert seen.official.state is seen.independent.state is State.INVALID


@pytest.mark.parametrize("kind", KINDS)
def test_foreign_root_is_valid_but_untrusted(kind: Kind, trust: Trust) -> None:
    signed = sign(picture(kind), make_claim(), make_authority().signer)
    seen = read(signed.file, trust, now=NOW)
    assert (seen.state, seen.reason) == (State.UNTRUSTED, Reason.FOREIGN_ROOT)
    assert seen.official.reason is seen.independent.reason is Reason.FOREIGN_ROOT


def test_missing_authority_between_is_untrusted(authority: Authority, trust: Trust) -> None:
    between = issue_authority(authority.root, TEST_ORGANIZATION, now=NOW)
    signer = signer_of(issue_leaf(between, TEST_ORGANIZATION, now=NOW))
    seen = read(sign(picture(Kind.PNG), make_claim(), signer).file, trust, now=NOW)
    assert (seen.state, seen.reason) == (State.UNTRUSTED, Reason.FOREIGN_ROOT)


def test_expired_certificate_is_invalid() -> None:
    old = make_root(TEST_ORGANIZATION, now=LONG_AGO)
    signer = signer_of(issue_leaf(old, TEST_ORGANIZATION, now=LONG_AGO))
    signed = sign(picture(Kind.PNG), make_claim(when=LONG_AGO), signer)
    seen = read(signed.file, open_trust(pem([old.certificate]), now=NOW), now=NOW)
    assert (seen.state, seen.reason) == (State.INVALID, Reason.EXPIRED)
    assert seen.official.reason is seen.independent.reason is Reason.EXPIRED


def test_second_reader_judges_by_the_time_it_is_given(authority: Authority, trust: Trust) -> None:
    signed = sign(picture(Kind.PNG), make_claim(), authority.signer)
    seen = read(signed.file, trust, now=NOW + timedelta(days=400))
    assert (seen.state, seen.independent.reason) == (State.DISPUTED, Reason.EXPIRED)


def test_signature_of_another_claim_is_a_bad_signature(authority: Authority, trust: Trust) -> None:
    file = sign(picture(Kind.JPEG), make_claim(), authority.signer).file
    seen = read(file.replace(b"Countermark", b"Countermarc"), trust, now=NOW)
    assert (seen.state, seen.reason) == (State.INVALID, Reason.BAD_SIGNATURE)
    assert seen.official.reason is seen.independent.reason is Reason.BAD_SIGNATURE


def test_changed_assertion_is_an_assertion_mismatch(authority: Authority, trust: Trust) -> None:
    file = sign(picture(Kind.JPEG), make_claim(), authority.signer).file
    seen = read(file.replace(b"icons-64", b"icons-65"), trust, now=NOW)
    assert (seen.state, seen.reason) == (State.INVALID, Reason.ASSERTION_MISMATCH)
    assert seen.official.reason is seen.independent.reason is Reason.ASSERTION_MISMATCH


@pytest.mark.parametrize("kind", [Kind.PNG, Kind.JPEG])
def test_remote_manifest_is_refused_by_name(kind: Kind, trust: Trust) -> None:
    link = "<dcterms:provenance>http://127.0.0.1:9/manifest</dcterms:provenance>"
    packet = format_packet(link, namespace="http://purl.org/dc/terms/", prefix="dcterms")
    seen = read(embed_packet(picture(kind), packet), trust, now=NOW)
    assert (seen.state, seen.reason) == (State.INVALID, Reason.REMOTE)
    assert seen.official.reason is seen.independent.reason is Reason.REMOTE


@pytest.mark.parametrize("kind", KINDS)
def test_manifest_over_the_limit_is_too_large_and_meets_no_parser(kind: Kind, trust: Trust) -> None:
    whole = picture(kind)
    seen = read(_with_store(whole, kind, _heavy(MAX_STORE + 1)), trust, now=NOW)
    assert (seen.state, seen.reason) == (State.INVALID, Reason.TOO_LARGE)
    assert seen.official.detail == "not asked"
    seen = read(_with_store(whole, kind, _heavy(MAX_STORE)), trust, now=NOW)
    assert seen.reason is not Reason.TOO_LARGE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("store", [b"", b"\0" * 8, b"\0\0\0\x10jumbnonsense", b"\xff" * 64])
def test_nonsense_for_a_manifest_is_never_sound(kind: Kind, store: bytes, trust: Trust) -> None:
    seen = read(_with_store(picture(kind), kind, store), trust, now=NOW)
    assert seen.state not in (State.TRUSTED, State.UNTRUSTED)
    assert seen.state is not State.ABSENT or kind is Kind.JPEG  # other boxes are no manifest there


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF"])
def test_broken_or_other_file_is_malformed(data: bytes, trust: Trust) -> None:
    seen = read(data, trust, now=NOW)
    assert (seen.state, seen.reason) == (State.INVALID, Reason.MALFORMED)


def test_two_stores_in_one_file_are_malformed(authority: Authority, trust: Trust) -> None:
    signed = sign(picture(Kind.PNG), make_claim(), authority.signer)
    framed = frame(Kind.PNG, signed.store)
    seen = read(signed.file.replace(framed, framed * 2), trust, now=NOW)
    assert seen.state is not State.TRUSTED
    assert seen.independent.reason is Reason.MALFORMED


def test_form_of_another_writer_is_read_by_the_library_alone(trust: Trust) -> None:
    updated = format_superbox(STORE, "c2pa", format_superbox(b"c2um" + STORE[4:], "urn:c2pa:x"))
    seen = read(_with_store(picture(Kind.PNG), Kind.PNG, updated), trust, now=NOW)
    assert seen.independent.state is State.UNCONFIRMED
    assert seen.state is State.INVALID


TRUSTED, ABSENT = Opinion(State.TRUSTED), Opinion(State.ABSENT)
ALTERED = Opinion(State.INVALID, Reason.HASH_MISMATCH, "changed")
VAGUE = Opinion(State.INVALID, Reason.MALFORMED, "some.code")
UNBOUND = Opinion(State.UNBOUND, Reason.HASH_MISMATCH, "elsewhere")
FOREIGN = Opinion(State.UNTRUSTED, Reason.FOREIGN_ROOT, "who")
UNREAD = Opinion(State.UNCONFIRMED, Reason.UNSUPPORTED, "compressed")


@pytest.mark.parametrize(
    ("first", "second", "state", "reason"),
    [
        (TRUSTED, TRUSTED, State.TRUSTED, None),
        (ABSENT, ABSENT, State.ABSENT, None),
        (ALTERED, ALTERED, State.INVALID, Reason.HASH_MISMATCH),
        (VAGUE, ALTERED, State.INVALID, Reason.HASH_MISMATCH),
        (UNBOUND, UNBOUND, State.UNBOUND, Reason.HASH_MISMATCH),
        (UNBOUND, ALTERED, State.INVALID, Reason.HASH_MISMATCH),
        (ALTERED, UNBOUND, State.INVALID, Reason.HASH_MISMATCH),
        (UNBOUND, TRUSTED, State.DISPUTED, Reason.READERS_DISAGREE),
        (TRUSTED, UNBOUND, State.DISPUTED, Reason.READERS_DISAGREE),
        (UNBOUND, FOREIGN, State.DISPUTED, Reason.READERS_DISAGREE),
        (ALTERED, VAGUE, State.INVALID, Reason.HASH_MISMATCH),
        (FOREIGN, FOREIGN, State.UNTRUSTED, Reason.FOREIGN_ROOT),
        (TRUSTED, UNREAD, State.UNCONFIRMED, Reason.UNSUPPORTED),
        (FOREIGN, UNREAD, State.UNTRUSTED, Reason.FOREIGN_ROOT),
        (ALTERED, UNREAD, State.INVALID, Reason.HASH_MISMATCH),
        (ABSENT, UNREAD, State.DISPUTED, Reason.READERS_DISAGREE),
        (TRUSTED, ALTERED, State.DISPUTED, Reason.READERS_DISAGREE),
        (ALTERED, TRUSTED, State.DISPUTED, Reason.READERS_DISAGREE),
        (TRUSTED, FOREIGN, State.DISPUTED, Reason.READERS_DISAGREE),
        (FOREIGN, TRUSTED, State.DISPUTED, Reason.READERS_DISAGREE),
        (TRUSTED, ABSENT, State.DISPUTED, Reason.READERS_DISAGREE),
        (ABSENT, TRUSTED, State.DISPUTED, Reason.READERS_DISAGREE),
    ],
)
def test_two_opinions_come_to_one_finding(
    first: Opinion, second: Opinion, state: State, reason: Reason | None
) -> None:
    found = compare(first, second, None)
    assert (found.state, found.reason) == (state, reason)
    assert found.caveat == CAVEATS[state]


@pytest.mark.parametrize("anchors", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\n"])
def test_trust_list_that_is_none_is_refused(anchors: bytes) -> None:
    with pytest.raises(BadAnchors):
        open_trust(anchors, now=NOW)


def test_leaf_is_no_anchor(authority: Authority) -> None:
    with pytest.raises(BadAnchors, match="authorit"):
        open_trust(pem(authority.signer.chain), now=NOW)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_library_of_another_process_is_refused(authority: Authority) -> None:
    library = Library(all_settings(authority.anchors.decode()))
    assert library.judge(picture(Kind.PNG)).state is State.ABSENT
    reading, writing = os.pipe()
    child = get_context("fork").Process(target=_judge_elsewhere, args=(library, writing))
    child.start()
    child.join()
    assert os.read(reading, 100) == b"WrongProcess"
    os.close(reading)
    os.close(writing)


def test_parent_that_cannot_be_read_is_refused(trust: Trust, tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        read_parent(_with_store(picture(Kind.PNG), Kind.PNG, _heavy(100)), trust)
    with pytest.raises((Malformed, Unsupported)):
        read_parent(b"nonsense", trust)


def _judge_elsewhere(library: Library, writing: int) -> None:
    try:
        library.judge(picture(Kind.PNG))
    except WrongProcess:
        os.write(writing, b"WrongProcess")
    else:
        os.write(writing, b"no error")


def _heavy(size: int) -> bytes:
    """A store of so many bytes, which holds nothing."""
    empty = format_superbox(STORE, "c2pa")
    filler = format_box(b"free", bytes(size - len(empty) - 8))
    return format_superbox(STORE, "c2pa", filler)


def _with_store(whole: bytes, kind: Kind, store: bytes) -> bytes:
    place: dict[Kind, Callable[[], bytes]] = {
        Kind.PNG: lambda: whole[:33] + frame(kind, store) + whole[33:],
        Kind.JPEG: lambda: whole[:2] + frame(kind, store) + whole[2:],
        Kind.WEBP: lambda: _webp(whole, frame(kind, store) + b"\0" * (len(store) % 2)),
    }
    return place[kind]()


def _webp(whole: bytes, chunk: bytes) -> bytes:
    return b"RIFF" + (len(whole) - 8 + len(chunk)).to_bytes(4, "little") + whole[8:] + chunk
