"""Read a file's manifest with two readers, and say what they come to.

`open_trust` proves the library's settings by its canaries before anything is read with them. `read`
makes no network call, raises nothing for any bytes, and calls a manifest TRUSTED only if both
readers do. C2PA 2.4, section 15.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from provenance.manifest.canaries import check_settings
from provenance.manifest.chain import UNFIT, check_authority
from provenance.manifest.container import scan
from provenance.manifest.errors import BadAnchors
from provenance.manifest.finding import Finding, Opinion, Reason, State, Statement
from provenance.manifest.independent import judge
from provenance.manifest.official import Library, all_settings
from provenance.manifest.parent import Parent, parent_of


@dataclass(frozen=True)
class Trust:
    """The authorities that stand behind claims, and the library that was told of them.

    Belongs to the process and the thread that opened it.
    """

    anchors: tuple[x509.Certificate, ...]
    official: Library


def open_trust(anchors_pem: bytes, *, now: datetime) -> Trust:
    """Trust these authorities and no others; raises BadAnchors, or Unsafe if a canary dies."""
    anchors = _parse_anchors(anchors_pem)
    check_settings(now=now)
    canonical = b"".join(a.public_bytes(serialization.Encoding.PEM) for a in anchors)
    return Trust(anchors, Library(all_settings(canonical.decode("ascii"))))


def read(data: bytes, trust: Trust, *, now: datetime) -> Finding:
    """The finding about a PNG, JPEG or WebP file; another kind of file is INVALID, malformed.

    `now` is the time the second reader judges by; the library takes the machine's clock.
    """
    second, statement = judge(data, trust.anchors, now=now)
    if second.reason is Reason.TOO_LARGE:
        unasked = Opinion(State.INVALID, Reason.TOO_LARGE, "not asked")
        return Finding(second.state, second.reason, second.detail, unasked, second, None)
    return compare(trust.official.judge(data), second, statement)


def compare(first: Opinion, second: Opinion, statement: Statement | None) -> Finding:
    """What the library's opinion and the second reader's come to."""
    state, reason, detail = first.state, first.reason, first.detail
    if second.state is State.UNCONFIRMED and first.state is not State.ABSENT:
        if first.state is State.TRUSTED:
            state, reason, detail = second.state, second.reason, second.detail
    elif {first.state, second.state} == {State.INVALID, State.UNBOUND}:
        state = State.INVALID  # both refuse it
    elif first.state is not second.state:
        state, reason = State.DISPUTED, Reason.READERS_DISAGREE
        detail = f"{_say(first)}, but by the second reader {_say(second)}"
    elif first.reason is Reason.MALFORMED:  # the library's word for all it has no code for
        reason, detail = second.reason, second.detail
    return Finding(state, reason, detail, first, second, statement)


def read_parent(data: bytes, trust: Trust) -> Parent:
    """The picture an edit begins with, as `sign` takes it: its manifests and how they fared.

    Raises Malformed, TooLarge or Unsupported if its manifests cannot be kept.
    """
    found = scan(data)
    return parent_of(found, {} if found.store is None else trust.official.results(data))


def _say(opinion: Opinion) -> str:
    return opinion.state + (f" ({opinion.reason}: {opinion.detail})" if opinion.reason else "")


def _parse_anchors(data: bytes) -> tuple[x509.Certificate, ...]:
    try:
        anchors = tuple(x509.load_pem_x509_certificates(data))
        for anchor in anchors:
            check_authority(anchor, below=0)
    except UNFIT as e:
        raise BadAnchors(f"the trust list is not certificates of authorities in PEM: {e}") from e
    return anchors
