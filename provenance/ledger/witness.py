"""A witness: someone else's machine that signs only checkpoints which extend all it has signed.

It keeps one thing, the last checkpoint it signed of each log, and so makes sure that the log shows
everyone the same growing tree. It reads nothing of the entries and does not vouch for them.
Requests have the form of c2sp.org/tlog-witness (`add-checkpoint`), with no network of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from provenance.ledger.checkpoint import Checkpoint, open_checkpoint
from provenance.ledger.encoding import format_base64, parse_decimal, parse_hash, parse_utf8
from provenance.ledger.errors import Broken, LedgerError, Malformed, NotProven, OtherSize
from provenance.ledger.merkle import EMPTY_ROOT, Hash, check_consistency
from provenance.ledger.note import (
    MAX_NOTE_BYTES,
    Signer,
    Verifier,
    cosign_note,
    keep_signature,
)

MAX_HASHES = 63
MAX_REQUEST_BYTES = MAX_NOTE_BYTES + MAX_HASHES * 45 + 32  # a note, hashes, a size
ADD = "add-checkpoint"  # below the witness's address
SIZE_TYPE = "text/x.tlog.size"  # of the answer to a request that starts from another size


@dataclass(frozen=True)
class Request:
    """Please sign this checkpoint: here is how it extends the one of `old_size`."""

    old_size: int
    proof: tuple[Hash, ...]
    checkpoint: bytes


def format_request(request: Request) -> bytes:
    lines = (f"old {request.old_size}", *(format_base64(one) for one in request.proof))
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + request.checkpoint


def parse_request(data: bytes) -> Request:
    if len(data) > MAX_REQUEST_BYTES:
        raise Malformed(f"request is longer than {MAX_REQUEST_BYTES} bytes")
    head, gap, checkpoint = data.partition(b"\n\n")
    first, *hashes = parse_utf8(head, what="request").split("\n")
    if not gap or not first.startswith("old "):
        raise Malformed("request does not start with the old size")
    if len(hashes) > MAX_HASHES:
        raise Malformed(f"request has {len(hashes)} hashes, more than {MAX_HASHES}")
    return Request(
        old_size=parse_decimal(first.removeprefix("old "), what="old size"),
        proof=tuple(parse_hash(one, what="hash of the request") for one in hashes),
        checkpoint=checkpoint,
    )


def cosign(
    request: Request,
    last: bytes | None,
    *,
    log: Sequence[Verifier],
    witness: Signer,
    now: datetime,
) -> bytes:
    """The checkpoint with the witness's signature, to be kept as `last` before it is sent back.

    `last` is what this returned before for the same log, None the first time. Raises OtherSize if
    the request starts from another size than `last`, NotProven if it does not extend it, Broken if
    `last` is not what this witness signed.
    """
    new = open_checkpoint(request.checkpoint, log).checkpoint
    old = _last_signed(last, log, witness)
    if request.old_size != old.size:
        raise OtherSize(old.size, request.old_size)
    if new.size == 0 and new.root != EMPTY_ROOT:
        raise NotProven("the root of a log of size 0 is not that of an empty tree")
    if old.size > 0:
        check_consistency(
            request.proof,
            old_size=old.size,
            new_size=new.size,
            old_root=old.root,
            new_root=new.root,
        )
    elif request.proof:
        raise Malformed("nothing is to be proven of a log that grew from nothing")
    return cosign_note(request.checkpoint, witness, seconds=int(now.timestamp()))


def format_cosignature(note: bytes, witness: Verifier) -> bytes:
    """The line of a witness in a note, as it answers with it; beneath the checkpoint it holds."""
    alone = keep_signature(note, witness)
    return alone[alone.rindex(b"\n\n") + 2 :]


def _last_signed(last: bytes | None, log: Sequence[Verifier], witness: Signer) -> Checkpoint:
    if last is None:
        return Checkpoint(log[0].name, 0, EMPTY_ROOT)
    try:
        return open_checkpoint(last, log, witnesses=[witness.verifier], quorum=1).checkpoint
    except LedgerError as e:
        raise Broken(f"the state is not what this witness signed last: {e}") from e
