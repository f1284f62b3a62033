"""RFC 3161 timestamps over checkpoints: another's clock says when the log had signed what.

An opened timestamp proves, to someone who trusts the authority's root, that this signature of the
log was there at the authority's time, even if the log's key is stolen afterwards. It asks nobody
whether the authority's certificate was revoked. Nothing here touches a network: a request and its
response are bytes, which any HTTP client carries (`application/timestamp-query`). The request has
no nonce, for an old response to the same request is an earlier proof of the same fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from provenance.ledger.checkpoint import Checkpoint, Timestamp, open_checkpoint
from provenance.ledger.errors import Malformed, NotProven
from provenance.ledger.note import Verifier, keep_signature

MAX_RESPONSE_BYTES = 65_536


@dataclass(frozen=True)
class Dated:
    """A checkpoint that its log had signed at `at` or before, by the clock of the authority."""

    checkpoint: Checkpoint
    at: datetime


def request_timestamp(note: bytes, key: Verifier) -> tuple[bytes, bytes]:
    """The note with the signature of `key` alone, and the DER request to date these bytes."""
    dated = keep_signature(note, key)
    ask = TimestampRequestBuilder(dated, HashAlgorithm.SHA256, nonce=False, cert_req=True)
    return dated, ask.build().as_bytes()


def open_timestamp(
    timestamp: Timestamp, log: Sequence[Verifier], roots: Sequence[Certificate]
) -> Dated:
    """What the timestamp proves to someone who trusts the keys of `log` and these roots.

    Certificates must be valid at the time that the response names, not now. Raises Malformed,
    WrongLog, UnknownKey or NotProven.
    """
    if not roots:
        raise Malformed("no root certificate to check a timestamp with")
    checkpoint = open_checkpoint(timestamp.note, log).checkpoint
    if len(timestamp.response) > MAX_RESPONSE_BYTES:
        raise Malformed(f"timestamp is longer than {MAX_RESPONSE_BYTES} bytes")
    try:
        response = decode_timestamp_response(timestamp.response)
    except ValueError as e:
        raise Malformed(f"timestamp is not an RFC 3161 response: {e}") from e
    verifier = VerifierBuilder(roots=list(roots)).build()
    try:
        verifier.verify_message(response, timestamp.note)
        return Dated(checkpoint, _latest(response))
    except (VerificationError, ValueError, OverflowError) as e:
        raise NotProven(f"timestamp does not hold: {e}") from e


def parse_roots(pem: bytes) -> list[Certificate]:
    """The certificates of a PEM file, in which there must be one."""
    try:
        return load_pem_x509_certificates(pem)
    except ValueError as e:
        raise Malformed("not a file of PEM certificates") from e


def _latest(response: TimeStampResponse) -> datetime:
    """The latest moment that the response's time and its accuracy allow."""
    info = response.tst_info
    at, within = info.gen_time, info.accuracy
    if within is not None:
        at += timedelta(
            seconds=within.seconds or 0,
            milliseconds=within.millis or 0,
            microseconds=within.micros or 0,
        )
    return at if at.tzinfo else at.replace(tzinfo=UTC)
