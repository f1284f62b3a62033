"""Checkpoints: the size and root of a log, as the text of a signed note.

The format is c2sp.org/tlog-checkpoint@v1.0.0. A log signs under its origin as key name, so a
verifier key alone says which log is meant: `open_checkpoint` refuses any other origin. A checkpoint
proves what one log claimed; only witnesses, or two checkpoints compared, show that it claims the
same to everyone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.ledger.encoding import format_base64, parse_decimal, parse_hash
from provenance.ledger.errors import Malformed, NotProven, UnknownKey, WrongLog
from provenance.ledger.merkle import Hash
from provenance.ledger.note import Algorithm, Verifier, open_note, parse_note


@dataclass(frozen=True)
class Checkpoint:
    origin: str
    size: int
    root: Hash
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signed:
    """A checkpoint of which the log's signature holds, with the times of the trusted witnesses."""

    checkpoint: Checkpoint
    signers: tuple[Verifier, ...]
    witnessed: dict[Verifier, int]  # seconds since 1970 UTC, by the witness's clock


@dataclass(frozen=True)
class Timestamp:
    """A checkpoint with one signature of its log, and an RFC 3161 response over these very bytes.

    Whoever opens the note and finds the response to hold knows that this signature was there at the
    response's time. Only the note is read here: for the response see `provenance.timestamp`.
    """

    note: bytes
    response: bytes


def format_checkpoint(checkpoint: Checkpoint) -> str:
    root = format_base64(checkpoint.root)
    lines = (checkpoint.origin, str(checkpoint.size), root, *checkpoint.extensions)
    return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    lines = text.split("\n")
    if lines.pop() or len(lines) < 3 or not all(lines):
        raise Malformed("checkpoint is not three or more full lines")
    size = parse_decimal(lines[1], what="checkpoint size")
    root = parse_hash(lines[2], what="checkpoint root")
    return Checkpoint(lines[0], size, root, tuple(lines[3:]))


def open_checkpoint(
    data: bytes, log: Sequence[Verifier], *, witnesses: Sequence[Verifier] = (), quorum: int = 0
) -> Signed:
    """The checkpoint in a note signed by one key of `log` and by `quorum` of `witnesses`.

    All keys of `log` share one name, the origin. Raises Malformed, WrongLog, UnknownKey or
    NotProven.
    """
    origin = _origin(log, witnesses)
    try:
        opened = open_note(data, (*log, *witnesses))
    except UnknownKey as e:
        claimed = parse_note(data).text.partition("\n")[0]
        if claimed != origin:
            raise WrongLog(f"checkpoint is of log {claimed[:200]!r}, not of {origin!r}") from e
        raise
    checkpoint = parse_checkpoint(opened.text)
    if checkpoint.origin != origin:
        raise WrongLog(f"checkpoint is of log {checkpoint.origin[:200]!r}, not of {origin!r}")
    signers = tuple(v for v in opened.signers if v in log)
    if not signers:
        raise UnknownKey(f"checkpoint is not signed by {origin!r} itself")
    if len(opened.times) < quorum:
        raise NotProven(f"{len(opened.times)} trusted witnesses signed, not the {quorum} asked for")
    return Signed(checkpoint, signers, opened.times)


def _origin(log: Sequence[Verifier], witnesses: Sequence[Verifier]) -> str:
    names = {v.name for v in log}
    if len(names) != 1:
        raise Malformed(f"the keys of a log share one name, these have {len(names)}")
    if any(v.algorithm is not Algorithm.ED25519 for v in log):
        raise Malformed("a log signs with a key of type 0x01, not with a witness key")
    if any(v.algorithm is not Algorithm.COSIGNATURE for v in witnesses):
        raise Malformed("a witness signs with a key of type 0x04, not with a log key")
    return names.pop()
