"""Blobs are whole, under their digest, or not there."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from provenance.blobs import DRAFTS, Blobs, Digest, NoBlob, TooLong


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def files(blobs: Blobs) -> list[Path]:
    return [path for path in blobs.folder.rglob("*") if path.is_file()]


def test_what_is_put_is_got_by_its_digest(blobs: Blobs) -> None:
    for data in (b"", b"a", bytes(range(256)) * 1000):
        digest = blobs.put(data)
        assert digest == sha256(data).digest()
        assert blobs.get(digest) == data == blobs.path(digest).read_bytes()


def test_the_same_bytes_are_kept_once(blobs: Blobs) -> None:
    assert blobs.put(b"same") == blobs.put(b"same")
    assert len(files(blobs)) == 1


def test_an_unknown_digest_has_no_blob(blobs: Blobs) -> None:
    blobs.put(b"a")
    with pytest.raises(NoBlob):
        blobs.get(Digest(sha256(b"b").digest()))


def test_an_upload_in_parts_is_the_same_blob(blobs: Blobs) -> None:
    with blobs.receive(limit=6) as upload:
        upload.write(b"abc")
        upload.write(b"def")
        assert upload.finish() == blobs.put(b"abcdef")
    assert upload.size == 6


def test_nothing_stays_of_an_upload_that_is_too_long(blobs: Blobs) -> None:
    with blobs.receive(limit=5) as upload:
        upload.write(b"abc")
        with pytest.raises(TooLong):
            upload.write(b"def")
    assert files(blobs) == []


def test_nothing_stays_of_an_upload_that_is_not_finished(blobs: Blobs) -> None:
    with blobs.receive(limit=5) as upload:
        upload.write(b"abc")
        assert len(files(blobs)) == 1
    assert files(blobs) == []


def test_a_draft_left_by_a_crash_is_no_blob(blobs: Blobs) -> None:
    digest = blobs.put(b"a")
    blobs.path(digest).replace(blobs.folder / DRAFTS / "left")
    with pytest.raises(NoBlob):
        blobs.get(digest)
    assert blobs.get(blobs.put(b"a")) == b"a"
