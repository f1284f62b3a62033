"""A pack proves what its proofs prove; nothing else in it can be changed without being noticed."""

import io
import zipfile
from dataclasses import replace
from hashlib import sha256

import pytest

from provenance.ledger.archive import format_archive, parse_archive
from provenance.ledger.checkpoint import Checkpoint, Timestamp, format_checkpoint
from provenance.ledger.errors import LedgerError, Malformed, NotProven, UnknownKey, WrongLog
from provenance.ledger.evidence import Exhibit, Pack, format_pack, open_pack
from provenance.ledger.fieldmap import MISSING, Facts, format_fields
from provenance.ledger.merkle import Hash, grow, leaf_hash, prove_inclusion, tree_root
from provenance.ledger.note import Algorithm, Signer, cosign_note, sign_note
from provenance.ledger.proof import Proof, format_proof
from provenance.ledger.record import Digest, Record, Revocation, Subject, format_record
from tests.provenance.ledger.logs import AT, LOG, marking, picture
from tests.provenance.ledger.mutations import mutations

WITNESS = Signer("w.example", Algorithm.COSIGNATURE, b"\x03" * 32)
STRANGER = Signer(LOG.name, Algorithm.ED25519, b"\x04" * 32)
OTHER = Signer("example.com/other", Algorithm.ED25519, b"\x05" * 32)
FILE = b"\x89PNG, the bytes that left the house"
RECORDS: list[Record] = [
    picture("a"),
    replace(picture("b"), file=Digest(sha256(FILE).digest()), mark=None, policy="a|b<c>\\"),
    Revocation(AT, Subject(0, Hash(b"\x07" * 32)), "mistaken"),
]
DATA = [format_record(record) for record in RECORDS]
NODES = grow(0, {}, [leaf_hash(one) for one in DATA])


def note(size: int = 3, signer: Signer = LOG) -> bytes:
    root = tree_root(size, lambda _: NODES)
    return sign_note(format_checkpoint(Checkpoint(signer.name, size, root)), [signer])


def exhibit(index: int, checkpoint: bytes | None = None, **attached: bytes) -> Exhibit:
    path = prove_inclusion(index, 3, lambda _: NODES)
    proof = Proof(DATA[index], index, path, checkpoint or note())
    return Exhibit(format_proof(proof), {n.replace("_", "."): d for n, d in attached.items()})


PACK = Pack(
    LOG.verifier,
    (exhibit(0), exhibit(1, picture=FILE, manifest_c2pa=b"jumbf", detector_json=b"{}"), exhibit(2)),
    (Timestamp(note(), b"one"), Timestamp(note(), b"two")),
)
GOOD = format_pack(PACK)


def check(data: bytes) -> None:
    assert open_pack(data, [LOG.verifier]).pack == PACK


def changed(old: bytes, new: bytes, name: str) -> bytes:
    files = parse_archive(GOOD)
    assert old in files[name]
    return format_archive({**files, name: files[name].replace(old, new, 1)})


def test_a_pack_is_opened_as_it_was_made() -> None:
    found = open_pack(GOOD, [LOG.verifier])
    assert found.pack == PACK
    assert [one.record for one in found.entries] == RECORDS
    assert [one.index for one in found.entries] == [0, 1, 2]
    assert found.signed.checkpoint.size == 3


def test_a_pack_is_the_same_bytes_every_time() -> None:
    again = Pack(
        LOG.verifier,
        (
            exhibit(0),
            exhibit(1, detector_json=b"{}", manifest_c2pa=b"jumbf", picture=FILE),
            exhibit(2),
        ),
        (Timestamp(note(), b"one"), Timestamp(note(), b"two")),
    )
    assert format_pack(again) == GOOD
    assert sha256(GOOD).hexdigest() == PINNED


# Changes when the format does: then the version must, and the old one must still be read.
PINNED = "aaf1f0b4b04e6794304aa700e2d07953af62e1120e10fb3b3b6763f8e56bed1e"


def test_a_pack_holds_what_an_auditor_asks_for() -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as opened:
        names = opened.namelist()
        fields = opened.read("entries/000000000001/fields.md").decode()
        contents = opened.read("contents.md").decode()
    assert names == [
        "README.txt",
        "checkpoint",
        "contents.md",
        "entries/000000000000/fields.md",
        "entries/000000000000/proof.tlog-proof",
        "entries/000000000000/record.txt",
        "entries/000000000001/detector.json",
        "entries/000000000001/fields.md",
        "entries/000000000001/manifest.c2pa",
        "entries/000000000001/picture",
        "entries/000000000001/proof.tlog-proof",
        "entries/000000000001/record.txt",
        "entries/000000000002/proof.tlog-proof",
        "entries/000000000002/record.txt",
        "log.vkey",
        "timestamps/0.checkpoint",
        "timestamps/0.tsr",
        "timestamps/1.checkpoint",
        "timestamps/1.tsr",
    ]
    assert "| 2 | revocation | 2026-11-22T10:56:18Z | entry 0 |" in contents
    assert "| none, by policy a\\|b&lt;c>\\\\ |" in fields
    assert "2 over the checkpoint" in fields
    assert "| manifest.c2pa | attached |" in fields


def test_the_field_map_says_what_is_missing() -> None:
    bare = parse_archive(format_pack(Pack(LOG.verifier, (exhibit(0),))))
    fields = bare["entries/000000000000/fields.md"].decode().splitlines()
    missing = [line for line in fields if line.endswith(f"| {MISSING} |")]
    asked = ["metadata, signed", "time-stamped", "detected", "visible", "provider", "| Label |"]
    asked += ["explicit label", "ContentProducer", "ProduceID", "ContentPropagator"]
    assert all(any(one in line for line in missing) for one in asked)
    assert len(missing) == len(asked)
    rules = ("EU AI Act", "EU Code", "SB 942", "GB 45438")
    assert all(any(rule in line for line in fields) for rule in rules)


def test_the_field_map_finds_the_labels_that_the_policy_says() -> None:
    record = replace(picture("a"), policy="marked/1; tc260 00119; label AI")
    fields = format_fields(Facts(record, "entry 0 of it", 0, frozenset()))
    for found in (
        "22757.3(a) | a visible disclosure, as an option | record: policy | AI |",
        "| explicit label | record: policy | AI |",
        "| Label | the file's TC260 metadata | 1, generated |",
        "| ContentProducer | record: policy | 00119 |",
        "| ProduceID | record: id | a |",
    ):
        assert found in fields
    assert fields.count(MISSING) == 5


@pytest.mark.parametrize(
    ("keys", "error"),
    [([STRANGER], UnknownKey), ([OTHER], WrongLog), ([LOG, OTHER], Malformed)],
)
def test_only_the_readers_key_counts(keys: list[Signer], error: type[LedgerError]) -> None:
    check(GOOD)
    with pytest.raises(error):
        open_pack(GOOD, [key.verifier for key in keys])


def test_a_key_that_the_pack_names_proves_nothing() -> None:
    forged = Pack(STRANGER.verifier, (exhibit(0, note(signer=STRANGER)),))
    assert len(open_pack(format_pack(forged), [STRANGER.verifier]).entries) == 1
    with pytest.raises(UnknownKey):
        open_pack(format_pack(forged), [LOG.verifier])


def test_witnesses_can_be_asked_for() -> None:
    seen = cosign_note(note(), WITNESS, seconds=7)
    pack = format_pack(Pack(LOG.verifier, (exhibit(0, seen),), (Timestamp(note(), b"one"),)))
    found = open_pack(pack, [LOG.verifier], witnesses=[WITNESS.verifier], quorum=1)
    assert found.signed.witnessed == {WITNESS.verifier: 7}
    with pytest.raises(NotProven, match="0 trusted witnesses"):
        open_pack(GOOD, [LOG.verifier], witnesses=[WITNESS.verifier], quorum=1)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        (b"green-list/1", b"green-list/2", "entries/000000000000/fields.md"),
        (b"green-list/1", b"green-list/2", "entries/000000000000/record.txt"),
        (b"revocation", b"picture", "contents.md"),
        (b"\n3\n", b"\n4\n", "checkpoint"),
        (b"Take the", b"Use this", "README.txt"),
        (b"evidence/2", b"evidence/1", "README.txt"),
        (b"+", b"-", "log.vkey"),
        (b"\n", b"", "log.vkey"),
        (b"index 1", b"index 0", "entries/000000000001/proof.tlog-proof"),
        (b"extra ", b"extra A", "entries/000000000001/proof.tlog-proof"),
        (b"left", b"lost", "entries/000000000001/picture"),
        (b"\n3\n", b"\n4\n", "timestamps/0.checkpoint"),
    ],
)
def test_nothing_that_is_proven_can_be_changed(old: bytes, new: bytes, name: str) -> None:
    check(GOOD)
    with pytest.raises(LedgerError):
        open_pack(changed(old, new, name), [LOG.verifier])


@pytest.mark.parametrize(
    "extra",
    [
        "entries/000000000000/picture.exe",
        "entries/000000000009/record.txt",
        "entries/0/record.txt",
        "timestamps/3.tsr",
        "timestamps/10.tsr",
        "more.txt",
    ],
)
def test_a_file_that_belongs_nowhere_is_refused(extra: str) -> None:
    with pytest.raises(Malformed):
        open_pack(format_archive({**parse_archive(GOOD), extra: b"x"}), [LOG.verifier])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"exhibits": ()}, "0 entries"),
        ({"exhibits": (exhibit(1), exhibit(0))}, "order"),
        ({"exhibits": (exhibit(1), exhibit(1))}, "order"),
        ({"exhibits": (exhibit(0), exhibit(1, note(2)))}, "one checkpoint"),
        ({"exhibits": (exhibit(2, picture=FILE),)}, "no picture"),
        ({"exhibits": (exhibit(0, virus_exe=b""),)}, "cannot hold a file 'virus.exe'"),
        ({"timestamps": (Timestamp(note(), b""),) * 11}, "more than 10 timestamps"),
    ],
)
def test_what_is_no_pack_is_not_written(change: dict[str, object], says: str) -> None:
    assert format_pack(PACK)
    with pytest.raises(Malformed, match=says):
        format_pack(replace(PACK, **change))  # type: ignore[arg-type]


def test_a_foreign_picture_or_timestamp_is_named() -> None:
    swapped = replace(PACK, exhibits=(exhibit(0, picture=FILE),))
    with pytest.raises(NotProven, match="picture of entry 0 is not the file"):
        open_pack(format_pack(swapped), [LOG.verifier])
    dated = replace(PACK, timestamps=(Timestamp(note(2), b"one"),))
    with pytest.raises(NotProven, match="over another checkpoint"):
        open_pack(format_pack(dated), [LOG.verifier])


def test_hostile_bytes_are_refused_and_nothing_else() -> None:
    for bad in mutations(GOOD):
        with pytest.raises(LedgerError):
            open_pack(bad, [LOG.verifier])


def test_hostile_files_in_a_good_archive_are_refused_or_only_attached() -> None:
    files = parse_archive(GOOD)
    attached = {"manifest.c2pa", "detector.json"}
    each = {name: mutations(data or b"-", 60) for name, data in files.items()}
    for name, variants in each.items():
        for bad in variants:
            data = format_archive({**files, name: bad})
            if name.rpartition("/")[2] in attached or name.endswith(".tsr"):
                assert open_pack(data, [LOG.verifier]).entries
            else:
                with pytest.raises(LedgerError):
                    open_pack(data, [LOG.verifier])


def test_a_picture_that_was_only_marked_may_lie_beside_its_record_without_a_map_of_laws() -> None:
    record = format_record(replace(marking("m", 7), file=Digest(sha256(FILE).digest())))
    nodes = grow(0, {}, [leaf_hash(record)])
    checkpoint = format_checkpoint(Checkpoint(LOG.name, 1, tree_root(1, lambda _: nodes)))
    proof = format_proof(Proof(record, 0, (), sign_note(checkpoint, [LOG])))
    data = format_pack(Pack(LOG.verifier, (Exhibit(proof, {"picture": FILE}),)))
    assert open_pack(data, [LOG.verifier]).entries[0].index == 0
    assert not any("fields.md" in name for name in parse_archive(data))
    wrong = format_pack(Pack(LOG.verifier, (Exhibit(proof, {"picture": FILE + b"x"}),)))
    with pytest.raises(NotProven, match="not the file"):
        open_pack(wrong, [LOG.verifier])
