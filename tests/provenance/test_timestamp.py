"""A timestamp dates one signature of the log, for whoever trusts the authority's root."""

import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from provenance.ledger.checkpoint import Checkpoint, Timestamp, format_checkpoint
from provenance.ledger.errors import LedgerError, Malformed, NotProven, UnknownKey, WrongLog
from provenance.ledger.merkle import Hash
from provenance.ledger.note import (
    Algorithm,
    Signer,
    cosign_note,
    format_note,
    parse_note,
    sign_note,
)
from provenance.timestamp import (
    MAX_RESPONSE_BYTES,
    Dated,
    open_timestamp,
    parse_roots,
    request_timestamp,
)
from tests.provenance.authority import AT, Authority, authority, under_intermediate
from tests.provenance.ledger.logs import LOG
from tests.provenance.ledger.mutations import mutations

CHECKPOINT = Checkpoint(LOG.name, 7, Hash(b"\x05" * 32))
NEXT = Signer(LOG.name, Algorithm.ED25519, b"\x02" * 32)
OTHER = Signer("example.com/other", Algorithm.ED25519, b"\x03" * 32)
WITNESS = Signer("w.example", Algorithm.COSIGNATURE, b"\x04" * 32)
NOTE = sign_note(format_checkpoint(CHECKPOINT), [LOG])
GIVEN = authority()
GOOD = Timestamp(NOTE, GIVEN.respond(NOTE))


def opened(timestamp: Timestamp, given: Authority = GIVEN) -> Dated:
    return open_timestamp(timestamp, [LOG.verifier], [given.root])


def test_a_timestamp_dates_a_checkpoint() -> None:
    assert opened(GOOD) == Dated(CHECKPOINT, AT + timedelta(seconds=1))
    exact = replace(GIVEN, seconds=None)
    assert opened(Timestamp(NOTE, exact.respond(NOTE))).at == AT


def test_the_authority_may_stand_under_an_intermediate() -> None:
    given = under_intermediate(GIVEN)
    assert opened(Timestamp(NOTE, given.respond(NOTE)), given).checkpoint == CHECKPOINT
    with pytest.raises(NotProven):
        opened(Timestamp(NOTE, replace(given, chain=()).respond(NOTE)), given)


def test_a_request_is_over_the_signature_of_one_key_and_always_the_same() -> None:
    both = sign_note(format_checkpoint(CHECKPOINT), [NEXT, LOG])
    dated, request = request_timestamp(cosign_note(both, WITNESS, seconds=9), LOG.verifier)
    assert (dated, request) == request_timestamp(NOTE, LOG.verifier)
    assert dated == NOTE
    assert request_timestamp(both, NEXT.verifier)[1] != request
    with pytest.raises(UnknownKey, match="not signed by example.com/log"):
        request_timestamp(NOTE, NEXT.verifier)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
def test_openssl_reads_the_request_and_agrees_about_the_response(tmp_path: Path) -> None:
    for name, data in {
        "note": NOTE,
        "q.tsq": request_timestamp(NOTE, LOG.verifier)[1],
        "r.tsr": GOOD.response,
        "root.pem": GIVEN.root.public_bytes(Encoding.PEM),
    }.items():
        (tmp_path / name).write_bytes(data)

    def openssl(*arguments: str) -> str:
        done = subprocess.run(
            ["openssl", "ts", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    when = ["-attime", str(int(AT.timestamp())), "-CAfile", "root.pem", "-in", "r.tsr"]
    assert "Verification: OK" in openssl("-verify", "-data", "note", *when)
    assert "Verification: OK" in openssl("-verify", "-queryfile", "q.tsq", *when)
    (tmp_path / "note").write_bytes(NOTE + b"x")
    assert "Verification: FAILED" in openssl("-verify", "-data", "note", *when)


BROKEN = {
    "imprint": (GIVEN, NOTE + b"x"),
    "rejected": (replace(GIVEN, status=2), NOTE),
    "granted with changes": (replace(GIVEN, status=1), NOTE),
    "another root": (authority(), NOTE),
    "another key": (replace(GIVEN, key=authority().key), NOTE),
    "too early": (replace(GIVEN, at=AT - timedelta(days=181)), NOTE),
    "too late": (replace(GIVEN, at=AT + timedelta(days=181)), NOTE),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_one_thing_wrong_and_nothing_is_dated(broken: tuple[Authority, bytes]) -> None:
    given, message = broken
    assert opened(Timestamp(NOTE, GIVEN.respond(NOTE))) == opened(GOOD)
    with pytest.raises(NotProven, match="timestamp does not hold"):
        opened(Timestamp(NOTE, given.respond(message)))


@pytest.mark.parametrize(
    ("purpose", "critical"),
    [(ExtendedKeyUsageOID.EMAIL_PROTECTION, True), (ExtendedKeyUsageOID.TIME_STAMPING, False)],
)
def test_only_a_certificate_for_timestamps_dates(purpose: object, critical: bool) -> None:
    given = authority(purpose=purpose, critical=critical)  # type: ignore[arg-type]
    with pytest.raises(NotProven):
        opened(Timestamp(NOTE, given.respond(NOTE)), given)


def test_the_log_and_its_key_count_as_much_as_the_time() -> None:
    for signer, error in ((NEXT, UnknownKey), (OTHER, WrongLog)):
        text = format_checkpoint(replace(CHECKPOINT, origin=signer.name))
        foreign = sign_note(text, [signer])
        with pytest.raises(error):
            opened(Timestamp(foreign, GIVEN.respond(foreign)))
    unsigned = format_note(replace(parse_note(NOTE), signatures=parse_note(NOTE).signatures * 2))
    with pytest.raises(NotProven):
        opened(replace(GOOD, note=unsigned))


def test_no_roots_no_response_or_too_long_a_one() -> None:
    with pytest.raises(Malformed, match="no root certificate"):
        open_timestamp(GOOD, [LOG.verifier], [])
    with pytest.raises(Malformed, match="not an RFC 3161 response"):
        opened(replace(GOOD, response=b""))
    with pytest.raises(Malformed, match="longer than"):
        opened(replace(GOOD, response=b"\x00" * (MAX_RESPONSE_BYTES + 1)))


def test_roots_are_read_from_pem() -> None:
    pem = GIVEN.root.public_bytes(Encoding.PEM)
    assert parse_roots(pem * 2) == [GIVEN.root] * 2
    for bad in (b"", b"x", pem[:-40]):
        with pytest.raises(Malformed):
            parse_roots(bad)


def test_hostile_responses_are_refused_or_date_the_same() -> None:
    good = opened(GOOD)
    for bad in mutations(GOOD.response):
        try:
            found = opened(replace(GOOD, response=bad))
        except LedgerError:
            continue
        assert found == good
