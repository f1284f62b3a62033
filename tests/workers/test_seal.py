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
from provenance.ledger.errors import LedgerError
from provenance.ledger.log import Draft, append, log_size
from provenance.ledger.merkle import leaf_hash
from provenance.ledger.proof import open_proof
from provenance.ledger.record import Revocation, Subject, format_record, parse_record
from provenance.pki import ROOT, make_root, pem
from provenance.verdict.finding import ManifestState, MarkState
from provenance.verdict.table import Outcome
from provenance.watermark.search import QUICK
from tests.workers.toys import generator
from workers.examine import open_library
from workers.folder import TENANT, DataFolder, load_claim_signer, load_trust, make, open_folder
from workers.generate import generate
from workers.marking import Kind, Marker
from workers.seal import Sealed, Untrusted, seal
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


def sealed(folder: DataFolder, tmp_path: Path, *seeds: int) -> list[Sealed]:
    """Toy pictures, marked, signed and recorded."""
    toy, marker = generator(tmp_path)
    key = folder.keyring.marks().active(TENANT)
    wishes = [Request(PROMPT, seed) for seed in seeds]
    pictures = generate(toy, marker, wishes, mark=Kind.LEXICAL, key=key)
    now = datetime.now(UTC)
    signer, trust = load_claim_signer(folder, now=now), load_trust(folder, now=now)
    return seal(folder, signer, pictures, trust=trust, marker=marker, key=key)


def outcome(folder: DataFolder, marker: Marker, data: bytes) -> Outcome:
    """What verifying the bytes comes to."""
    return judged(folder, marker, data).verdict.outcome


def judged(folder: DataFolder, marker: Marker, data: bytes) -> Judged:
    """What verifying the bytes tells."""
    keys = folder.keyring.marks().keys
    with open_library(folder) as library:
        return judge(data, name="it", marker=marker, keys=keys, plan=QUICK, library=library)


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
