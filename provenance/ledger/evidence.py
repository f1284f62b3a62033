"""Evidence packs: one reproducible ZIP about one entry of the log, or about a period of it.

`open_pack` proves, offline, that the log's key signed a tree with every record of the pack, and
that a picture in it is the file its record names. Whatever else lies beside a record (manifest,
detector report) is attached, and proven by nothing here; timestamps are proven by
`provenance.timestamp`. Reading is strict: `format_pack` of what was opened gives the same bytes, so
no table and no text in a pack can say anything but what its proofs say.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from provenance.ledger.archive import format_archive, parse_archive
from provenance.ledger.checkpoint import Signed, Timestamp, open_checkpoint
from provenance.ledger.encoding import parse_utf8
from provenance.ledger.errors import Malformed, NotProven
from provenance.ledger.fieldmap import Facts, format_fields
from provenance.ledger.note import Verifier, format_vkey, parse_note, parse_vkey
from provenance.ledger.proof import Proof, Proven, open_proof, parse_proof
from provenance.ledger.record import (
    Erasure,
    GivenOut,
    Marking,
    Picture,
    Record,
    Revocation,
    parse_record,
)

VERSION = "countermark-evidence/1"
MAX_EXHIBITS = 10_000
MAX_TIMESTAMPS = 10
PROOF = "proof.tlog-proof"
ATTACHMENTS = ("picture", "manifest.c2pa", "detector.json")
_ENTRY = re.compile(r"entries/([0-9]{12})/([a-z0-9.-]+)", re.ASCII)
_README = f"""{VERSION}

Entries of a transparency log, each with its proof. Check this pack offline:

    countermark evidence check PACK.zip --key 'NAME+ID+KEY'

Take the verifier key from a source you trust: log.vkey only says which key the maker meant.

The check proves that this key signed a tree in which every record of this pack has its index, and
that `picture`, where there is one, is the file its record names. manifest.c2pa and detector.json
are attached and proven by nothing here. The check does not prove that a record is true, or that no
later entry revokes it. A time stamp is checked with the root certificate of its authority, by
`countermark evidence check --roots` or by

    openssl ts -verify -in timestamps/0.tsr -data timestamps/0.checkpoint -CAfile ROOT.pem

record.txt, contents.md and fields.md repeat what the proofs hold; fields.md is a map, not a legal
opinion.
"""


@dataclass(frozen=True)
class Exhibit:
    """The proof of one entry, and the files that are laid beside it, of ATTACHMENTS."""

    proof: bytes
    attached: Mapping[str, bytes]


@dataclass(frozen=True)
class Pack:
    """Exhibits in order of their index, all proven by one checkpoint, which may be dated."""

    key: Verifier
    exhibits: tuple[Exhibit, ...]
    timestamps: tuple[Timestamp, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """A pack of which every proof holds; its timestamps are still to be checked."""

    signed: Signed
    entries: tuple[Proven, ...]
    pack: Pack


def format_pack(pack: Pack) -> bytes:
    """The ZIP; the same pack gives the same bytes. Raises Malformed if it cannot be one."""
    proofs = [parse_proof(exhibit.proof) for exhibit in pack.exhibits]
    _check_order(proofs)
    if len(pack.timestamps) > MAX_TIMESTAMPS:
        raise Malformed(f"pack has more than {MAX_TIMESTAMPS} timestamps")
    files = {
        "README.txt": _README.encode(),
        "log.vkey": f"{format_vkey(pack.key)}\n".encode(),
        "checkpoint": proofs[0].checkpoint,
        "contents.md": "".join(_contents(proofs)).encode(),
    }
    for number, timestamp in enumerate(pack.timestamps):
        files[f"timestamps/{number}.checkpoint"] = timestamp.note
        files[f"timestamps/{number}.tsr"] = timestamp.response
    for proof, exhibit in zip(proofs, pack.exhibits, strict=True):
        for name, data in _exhibit_files(pack, proof, exhibit):
            files[f"entries/{proof.index:012d}/{name}"] = data
    return format_archive(files)


def open_pack(
    data: bytes, log: Sequence[Verifier], *, witnesses: Sequence[Verifier] = (), quorum: int = 0
) -> Evidence:
    """What the pack proves to someone who trusts the keys of `log`.

    Raises Malformed, WrongLog, UnknownKey or NotProven, and never anything else.
    """
    pack = _parse_pack(parse_archive(data))
    if format_pack(pack) != data:
        raise Malformed("pack is not in canonical form")
    entries = tuple(
        open_proof(exhibit.proof, log, witnesses=witnesses, quorum=quorum)
        for exhibit in pack.exhibits
    )
    for proven, exhibit in zip(entries, pack.exhibits, strict=True):
        _check_picture(proven, exhibit)
    signed = entries[0].signed
    for timestamp in pack.timestamps:
        if open_checkpoint(timestamp.note, log).checkpoint != signed.checkpoint:
            raise NotProven("a timestamp of the pack is over another checkpoint than its proofs")
    return Evidence(signed, entries, pack)


def _check_order(proofs: Sequence[Proof]) -> None:
    if not 0 < len(proofs) <= MAX_EXHIBITS:
        raise Malformed(f"pack has {len(proofs)} entries, not 1 to {MAX_EXHIBITS}")
    indexes = [proof.index for proof in proofs]
    if indexes != sorted(set(indexes)) or indexes[-1] >= 10**12:
        raise Malformed("entries of the pack are not in the order of their indexes")
    if len({proof.checkpoint for proof in proofs}) > 1:
        raise Malformed("proofs of the pack are not over one checkpoint")


def _exhibit_files(pack: Pack, proof: Proof, exhibit: Exhibit) -> Iterator[tuple[str, bytes]]:
    yield PROOF, exhibit.proof
    yield "record.txt", proof.record
    if unknown := set(exhibit.attached) - set(ATTACHMENTS):
        raise Malformed(f"pack cannot hold a file {min(unknown)[:100]!r}")
    yield from exhibit.attached.items()
    record = parse_record(proof.record)
    if isinstance(record, Picture):
        origin = parse_note(proof.checkpoint).text.partition("\n")[0]
        entry = f"entry {proof.index} of {origin}"
        facts = Facts(record, entry, len(pack.timestamps), frozenset(exhibit.attached))
        yield "fields.md", format_fields(facts).encode()
    elif exhibit.attached and not isinstance(record, GivenOut):
        raise Malformed(f"entry {proof.index} is no picture, and has files beside it")


def _contents(proofs: Sequence[Proof]) -> Iterator[str]:
    yield "| entry | kind | at | about |\n| --- | --- | --- | --- |\n"
    for proof in proofs:
        record = parse_record(proof.record)
        at = f"{record.at:%Y-%m-%dT%H:%M:%SZ}"
        yield f"| {proof.index} | {record.kind} | {at} | {_about(record)} |\n"


def _about(record: Record) -> str:
    match record:
        case Picture() | Marking():
            return record.pixels.hex()
        case Revocation() | Erasure():
            return f"entry {record.subject.index}"
        case _:
            return "the service"


def _check_picture(proven: Proven, exhibit: Exhibit) -> None:
    picture = exhibit.attached.get("picture")
    if picture is None:
        return
    assert isinstance(proven.record, GivenOut), "only a picture has files beside it"
    if sha256(picture).digest() != proven.record.file:
        raise NotProven(f"the picture of entry {proven.index} is not the file its record names")


def _parse_pack(files: Mapping[str, bytes]) -> Pack:
    """The parts of a pack, unchecked, from those of its files that repeat nothing."""
    if not files.get("README.txt", b"").startswith(f"{VERSION}\n".encode()):
        raise Malformed(f"not an evidence pack of version {VERSION!r}")
    key = parse_vkey(parse_utf8(files.get("log.vkey", b""), what="log.vkey").rstrip("\n"))
    entries: dict[str, dict[str, bytes]] = {}
    for name, data in files.items():
        if found := _ENTRY.fullmatch(name):
            entries.setdefault(found[1], {})[found[2]] = data
    exhibits = tuple(
        Exhibit(
            proof=beside.get(PROOF, b""),
            attached={name: beside[name] for name in ATTACHMENTS if name in beside},
        )
        for _, beside in sorted(entries.items())
    )
    return Pack(key, exhibits, _parse_timestamps(files))


def _parse_timestamps(files: Mapping[str, bytes]) -> tuple[Timestamp, ...]:
    numbers = [n for n in range(MAX_TIMESTAMPS) if f"timestamps/{n}.tsr" in files]
    return tuple(
        Timestamp(files.get(f"timestamps/{n}.checkpoint", b""), files[f"timestamps/{n}.tsr"])
        for n in numbers
    )
