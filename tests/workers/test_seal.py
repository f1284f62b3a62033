import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generators.sampling import Request
from provenance.database import snapshot, transaction
from provenance.image import pixel_digest, read_image
from provenance.keyring import revoke
from provenance.keys import Purpose
from provenance.ledger.errors import Duplicate, LedgerError
from provenance.ledger.log import Draft, append, log_size
from provenance.ledger.merkle import leaf_hash
from provenance.ledger.proof import open_proof
from provenance.ledger.record import Marking, Revocation, Subject, format_record, parse_record
from provenance.manifest.read import read, read_parent
from provenance.pki import ROOT, make_root, pem
from provenance.verdict.finding import FingerprintState, ManifestState, MarkState
from provenance.verdict.table import Outcome
from provenance.watermark.search import QUICK, STANDARD
from tests.workers.toys import generator
from tests.workers.uploads import jpeg, photograph, toy
from workers.erasing import Erased
from workers.examine import open_library
from workers.folder import TENANT, DataFolder, load_claim_signer, load_trust, make, open_folder
from workers.generate import How, Marked, generate, unerased
from workers.mark import MarkedUpload, Sought, mark
from workers.marking import UPLOADS, Kind, Marker
from workers.seal import Sealed, Untrusted, seal, seal_upload
from workers.softbinding import shown
from workers.verify import Judged, judge

PROMPT = "a grey patch for Alice"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    """A data folder, just made."""
    make(tmp_path / "data", now=datetime.now(UTC))
    with open_folder(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def marker(tmp_path: Path) -> Marker:
    """The toy generator's."""
    return generator(tmp_path)[1]


def sealed(folder: DataFolder, tmp_path: Path, *seeds: int) -> list[Sealed[Marked]]:
    """Toy pictures, marked, signed and recorded."""
    toy, marker = generator(tmp_path)
    key = folder.keyring.marks().active(TENANT)
    wishes = [Request(PROMPT, seed) for seed in seeds]
    pictures = generate(toy, marker, wishes, How(Kind.LEXICAL, key, unerased))
    now = datetime.now(UTC)
    signer, trust = load_claim_signer(folder, now=now), load_trust(folder, now=now)
    return seal(folder, signer, pictures, trust=trust, marker=marker, key=key, erased=Erased())


def outcome(folder: DataFolder, marker: Marker, data: bytes) -> Outcome:
    """What verifying the bytes comes to."""
    return judged(folder, marker, data).verdict.outcome


def judged(folder: DataFolder, marker: Marker, data: bytes) -> Judged:
    """What verifying the bytes tells."""
    keys = folder.keyring.marks().keys
    with open_library(folder) as library:
        return judge(data, name="it", marks=marker, keys=keys, plan=QUICK, library=library)


def saved(picture: Image.Image, kind: str) -> bytes:
    """A picture in a new file."""
    file = BytesIO()
    picture.save(file, kind, quality=90)
    return file.getvalue()


def test_the_record_says_what_the_file_is_and_nothing_of_the_prompt(
    folder: DataFolder, tmp_path: Path
) -> None:
    one = sealed(folder, tmp_path, 3)[0]
    proven = open_proof(one.proof, folder.keyring.log_verifiers())
    assert proven.record == one.record
    assert one.record.file == sha256(one.file).digest()
    assert one.record.pixels == pixel_digest(read_image(one.file, name="it"))
    assert b"Alice" not in format_record(one.record) + one.file
    assert json.loads(format_record(one.record).split(b"\n")[1])["mark"]["scheme"] == "lexical/1"


def test_pictures_are_recorded_in_order_under_one_checkpoint(
    folder: DataFolder, tmp_path: Path
) -> None:
    made = sealed(folder, tmp_path, 3, 4, 5)
    assert [one.index for one in made] == [0, 1, 2]
    sizes = {
        open_proof(one.proof, folder.keyring.log_verifiers()).signed.checkpoint.size for one in made
    }
    assert sizes == {3}


def test_nothing_is_given_out_when_the_log_refuses_to_sign(
    folder: DataFolder, tmp_path: Path
) -> None:
    sealed(folder, tmp_path, 3)
    folder.anchor.unlink()
    with pytest.raises(LedgerError, match="anchor"):
        sealed(folder, tmp_path, 4)


def test_what_verifying_would_not_trust_is_not_recorded(folder: DataFolder, tmp_path: Path) -> None:
    stranger = make_root("another authority", now=datetime.now(UTC)).certificate
    (folder.path / ROOT).write_bytes(pem([stranger]))
    with pytest.raises(Untrusted, match="valid but untrusted"):
        sealed(folder, tmp_path, 3)
    with snapshot(folder.engine) as session:
        assert log_size(session) == 0


@pytest.mark.parametrize("purpose", [Purpose.MARK, Purpose.CLAIM])
def test_a_lost_key_is_evidence_of_nothing(
    folder: DataFolder, marker: Marker, tmp_path: Path, purpose: Purpose
) -> None:
    one = sealed(folder, tmp_path, 3)[0]
    now, lost = datetime.now(UTC), folder.keyring.active(purpose, TENANT).key_id
    material = b"n" * 32 if purpose is Purpose.CLAIM else None
    step = partial(revoke, key_id=lost, since=now, now=now, material=material)
    changed = replace(folder, keyring=step(folder.keyring))
    findings = judged(changed, marker, one.file).verdict.findings
    assert (findings.mark.state is MarkState.DETECTED) is (purpose is Purpose.CLAIM)
    assert (findings.manifest.state is ManifestState.OURS) is (purpose is Purpose.MARK)
    if purpose is Purpose.MARK:
        assert findings.mark.state is MarkState.INCONCLUSIVE
    else:
        assert findings.manifest.state is ManifestState.UNTRUSTED


def test_a_picture_as_it_left_is_intact(folder: DataFolder, marker: Marker, tmp_path: Path) -> None:
    one = sealed(folder, tmp_path, 3)[0]
    assert outcome(folder, marker, one.file) is Outcome.INTACT


def test_without_its_manifest_it_is_stripped(
    folder: DataFolder, marker: Marker, tmp_path: Path
) -> None:
    one = sealed(folder, tmp_path, 3)[0]
    bare = saved(Image.open(BytesIO(one.file)), "PNG")
    assert outcome(folder, marker, bare) is Outcome.STRIPPED


def test_changed_after_signing_it_is_edited(
    folder: DataFolder, marker: Marker, tmp_path: Path
) -> None:
    one = sealed(folder, tmp_path, 3)[0]
    changed = np.array(Image.open(BytesIO(one.file)))
    changed[:8, :8] ^= 1
    start = one.file.index(b"IDAT") - 4
    plain = saved(Image.fromarray(changed), "PNG")
    edited = one.file[:start] + plain[plain.index(b"IDAT") - 4 :]
    assert outcome(folder, marker, edited) is Outcome.EDITED


def test_its_manifest_on_another_picture_proves_nothing_for_that(
    folder: DataFolder, marker: Marker, tmp_path: Path
) -> None:
    one = sealed(folder, tmp_path, 3)[0]
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    other = saved(Image.fromarray(noise), "PNG")
    glued = one.file[: one.file.index(b"IDAT") - 4] + other[other.index(b"IDAT") - 4 :]
    assert outcome(folder, marker, glued) is Outcome.MANIFEST_SUBSTITUTED


def test_a_revoked_record_is_said_to_be(folder: DataFolder, marker: Marker, tmp_path: Path) -> None:
    one = sealed(folder, tmp_path, 3)[0]
    at = datetime.now(UTC).replace(microsecond=0)
    subject = Subject(one.index, leaf_hash(format_record(one.record)))
    with transaction(folder.engine) as session:
        append(session, [Draft(Revocation(at, subject, "drawn by mistake"))])
    assert outcome(folder, marker, one.file) is Outcome.REVOKED


def test_another_installation_has_no_evidence(
    folder: DataFolder, marker: Marker, tmp_path: Path
) -> None:
    one = sealed(folder, tmp_path, 3)[0]
    make(tmp_path / "elsewhere", now=datetime.now(UTC))
    with open_folder(tmp_path / "elsewhere") as other:
        assert outcome(other, marker, one.file) is Outcome.NO_EVIDENCE


def test_records_read_back_as_they_were_written(folder: DataFolder, tmp_path: Path) -> None:
    one = sealed(folder, tmp_path, 3)[0]
    assert parse_record(format_record(one.record)) == one.record
    with snapshot(folder.engine) as session:
        assert log_size(session) == 1


NUMBER = 0xC0FFEE4242


def uploaded(
    folder: DataFolder, tmp_path: Path, data: bytes, number: int = NUMBER
) -> Sealed[MarkedUpload]:
    """A picture that was brought, marked, signed and recorded."""
    _, marker = toy(tmp_path)
    now, keys = datetime.now(UTC), folder.keyring.marks()
    key, signer = keys.active(TENANT), load_claim_signer(folder, now=now)
    trust = load_trust(folder, now=now)
    made = mark(
        data,
        name="it",
        marker=marker,
        sought=Sought(marker, keys.keys),
        key=key,
        number=number,
        distance=None,
    )
    return seal_upload(
        folder,
        signer,
        made,
        original=data,
        parent=read_parent(data, trust),
        trust=trust,
        marker=marker,
        key=key,
    )


def judged_upload(folder: DataFolder, tmp_path: Path, data: bytes) -> Judged:
    """What verifying the bytes tells, searched as uploads are."""
    marker, keys = toy(tmp_path)[1], folder.keyring.marks().keys
    with open_library(folder) as library:
        return judge(data, name="it", marks=marker, keys=keys, plan=STANDARD, library=library)


def test_an_upload_is_recorded_as_marked_on_request_and_its_file_says_so(
    folder: DataFolder, tmp_path: Path
) -> None:
    brought = photograph(200, 168, kind="JPEG")
    one = uploaded(folder, tmp_path, brought)
    proven = open_proof(one.proof, folder.keyring.log_verifiers())
    assert proven.record == one.record
    assert isinstance(one.record, Marking)
    assert (one.record.number, one.record.mark.scheme) == (NUMBER, UPLOADS)
    assert one.record.file == sha256(one.file).digest()
    assert sha256(brought).hexdigest() not in format_record(one.record).decode()
    found = judged_upload(folder, tmp_path, one.file)
    assert found.verdict.outcome is Outcome.UPLOAD_INTACT
    assert b"trainedAlgorithmicMedia" not in one.file


def test_a_stripped_copy_names_its_record_and_is_never_made_here(
    folder: DataFolder, tmp_path: Path
) -> None:
    uploaded(folder, tmp_path, photograph(200, 168, seed=1), NUMBER - 1)
    one = uploaded(folder, tmp_path, photograph(200, 168))
    bare = judged_upload(folder, tmp_path, saved(Image.open(BytesIO(one.file)), "PNG"))
    assert (bare.verdict.outcome, bare.verdict.entries) == (Outcome.UPLOAD_STRIPPED, (1,))
    copy = judged_upload(folder, tmp_path, jpeg(one.file, 75))
    mark = copy.verdict.findings.mark
    assert (mark.state, mark.entries) == (MarkState.UPLOAD, (1,))
    assert f"record number {shown(NUMBER)}, that of entry 1" in mark.check.caveat
    assert copy.verdict.outcome is Outcome.UPLOAD_STRIPPED
    assert copy.verdict.entries == (1,)


def test_without_a_likeness_the_number_names_the_record_and_origin_stays_unconfirmed(
    folder: DataFolder, tmp_path: Path
) -> None:
    one = uploaded(folder, tmp_path, photograph(200, 168))
    part = Image.open(BytesIO(one.file)).crop((0, 0, 168, 128))
    found = judged_upload(folder, tmp_path, saved(part, "PNG")).verdict
    assert found.findings.fingerprint.state is not FingerprintState.MATCH
    assert found.findings.mark.entries == (0,)
    assert (found.outcome, found.entries) == (Outcome.MARKED, (0,))


def test_a_number_of_no_record_is_said_to_be(folder: DataFolder, tmp_path: Path) -> None:
    _, marker = toy(tmp_path)
    keys = folder.keyring.marks()
    key = keys.active(TENANT)
    made = mark(
        photograph(),
        name="it",
        marker=marker,
        sought=Sought(marker, [key]),
        key=key,
        number=7,
        distance=None,
    )
    found = judged_upload(folder, tmp_path, made.file).verdict
    assert (found.outcome, found.entries) == (Outcome.MARKED, ())
    assert f"number {shown(7)}, which this log does not have" in found.findings.mark.check.caveat


def test_a_number_that_is_taken_is_refused_and_nothing_is_recorded(
    folder: DataFolder, tmp_path: Path
) -> None:
    uploaded(folder, tmp_path, photograph(200, 168))
    with pytest.raises(Duplicate, match=f"mark of number {NUMBER}"):
        uploaded(folder, tmp_path, photograph(200, 168, seed=1))
    with snapshot(folder.engine) as session:
        assert log_size(session) == 1


def test_a_small_upload_is_recorded_without_a_number_and_bound_by_its_likeness(
    folder: DataFolder, tmp_path: Path
) -> None:
    one = uploaded(folder, tmp_path, photograph(72, 72))
    assert isinstance(one.record, Marking)
    assert one.record.number is None
    found = judged_upload(folder, tmp_path, saved(Image.open(BytesIO(one.file)), "PNG"))
    assert found.verdict.outcome is Outcome.UPLOAD_STRIPPED
    with open_library(folder) as library:
        said = read(one.file, library.trust, now=datetime.now(UTC)).statement
    assert said is not None
    assert [binding.algorithm for binding in said.bindings] == [
        "countermark.posthoc.2",
        "countermark.pdq1",
    ]


def test_what_is_brought_with_a_manifest_keeps_it_as_an_ingredient(
    folder: DataFolder, tmp_path: Path
) -> None:
    first = uploaded(folder, tmp_path, photograph(seed=2))
    other = saved(Image.open(BytesIO(photograph(seed=5))), "PNG")
    start = first.file.index(b"IDAT") - 4
    glued = first.file[:start] + other[other.index(b"IDAT") - 4 :]
    second = uploaded(folder, tmp_path, glued, NUMBER + 1)
    with open_library(folder) as library:
        said = read(second.file, library.trust, now=datetime.now(UTC)).statement
    assert said is not None
    assert said.ingredients == (first.record.manifest,)
