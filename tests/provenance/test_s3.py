"""Blobs in a bucket are whole, under their digest, or not there; a bucket that is gone is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from provenance import s3
from provenance.blobs import (
    BadPlace,
    Blobs,
    Damaged,
    Digest,
    NoBlob,
    TooLong,
    Unreachable,
    open_blobs,
)
from provenance.database import transaction
from provenance.s3 import S3Blobs
from provenance.tidying import GRACE, tidy
from provenance.wishes import Verify
from tests.databases import migrated_database
from tests.provenance.wishes import asked

QUICK = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server that speaks the protocol of S3."""
    made = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    made.start()
    host, port = made.get_host_and_port()
    yield f"http://{host}:{port}"
    made.stop()


@pytest.fixture(autouse=True)
def environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "AWS_ENDPOINT_URL_S3": server,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def client() -> Any:
    return boto3.client("s3")


@pytest.fixture
def bucket(client: Any) -> str:
    """A bucket with versions."""
    name = f"bucket-{uuid4()}"
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def blobs(bucket: str) -> S3Blobs:
    found = open_blobs(f"s3://{bucket}/some/where/")
    assert isinstance(found, S3Blobs)
    return found


def keys(client: Any, bucket: str) -> list[str]:
    return [one["Key"] for one in client.list_objects_v2(Bucket=bucket).get("Contents", ())]


def test_what_is_put_is_got_by_its_digest(blobs: S3Blobs, client: Any, bucket: str) -> None:
    for data in (b"", b"a", bytes(range(256)) * 1000):
        digest = blobs.put(data)
        assert digest == sha256(data).digest()
        assert blobs.get(digest) == data
    name = sha256(b"a").hexdigest()
    assert f"some/where/{name[:2]}/{name}" in keys(client, bucket)


def test_the_same_bytes_are_kept_once(blobs: S3Blobs, client: Any, bucket: str) -> None:
    assert blobs.put(b"same") == blobs.put(b"same")
    assert len(keys(client, bucket)) == 1


def test_an_unknown_digest_has_no_blob(blobs: S3Blobs) -> None:
    blobs.put(b"a")
    with pytest.raises(NoBlob):
        blobs.get(Digest(sha256(b"b").digest()))


def test_an_upload_in_parts_is_the_same_blob(blobs: S3Blobs) -> None:
    with blobs.receive(limit=6) as upload:
        upload.write(b"abc")
        upload.write(b"def")
        assert upload.finish() == sha256(b"abcdef").digest()
    assert blobs.get(Digest(sha256(b"abcdef").digest())) == b"abcdef"


def test_nothing_is_kept_of_an_upload_that_is_too_long_or_not_finished(
    blobs: S3Blobs, client: Any, bucket: str
) -> None:
    with blobs.receive(limit=5) as upload:
        upload.write(b"abc")
        with pytest.raises(TooLong):
            upload.write(b"def")
    with blobs.receive(limit=5) as upload:
        upload.write(b"abc")
    assert keys(client, bucket) == []


def test_bytes_that_were_changed_in_the_bucket_are_not_given_out(
    blobs: S3Blobs, client: Any, bucket: str
) -> None:
    digest = blobs.put(b"a")
    client.put_object(Bucket=bucket, Key=keys(client, bucket)[0], Body=b"b")
    with pytest.raises(Damaged, match=digest.hex()):
        blobs.get(digest)


def test_old_blobs_are_listed_and_removed_and_new_ones_stay(
    blobs: S3Blobs, client: Any, bucket: str
) -> None:
    digest, later = blobs.put(b"a"), datetime.now(UTC) + HOUR
    client.put_object(Bucket=bucket, Key="some/where/else", Body=b"no blob")
    assert list(blobs.written_before(later)) == [digest]
    assert list(blobs.written_before(later - 2 * HOUR)) == []
    assert not blobs.remove(digest, before=later - 2 * HOUR)
    assert blobs.get(digest) == b"a"
    blobs.put(b"a")
    assert blobs.remove(digest, before=later)
    assert not blobs.remove(digest, before=later)
    with pytest.raises(NoBlob):
        blobs.get(digest)
    assert (
        client.list_object_versions(Bucket=bucket, Prefix="some/where/ca").get("Versions") is None
    )
    assert keys(client, bucket) == ["some/where/else"]


def test_a_blob_that_is_put_while_it_is_removed_stays(blobs: S3Blobs) -> None:
    digest, later = blobs.put(b"a"), datetime.now(UTC) + HOUR
    real = blobs.client

    class Late:
        """A client that another worker is faster than."""

        def list_object_versions(self, **asked: Any) -> Any:
            listed = real.list_object_versions(**asked)
            blobs.put(b"a")
            return listed

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    slow = S3Blobs(blobs.bucket, blobs.prefix, Late())
    slow.remove(digest, before=later)
    assert blobs.get(digest) == b"a"


def test_nothing_is_removed_from_a_bucket_without_versions(client: Any) -> None:
    name = f"bucket-{uuid4()}"
    client.create_bucket(Bucket=name)
    plain = s3.connect(f"s3://{name}")
    digest = plain.put(b"a")
    assert not plain.remove(digest, before=datetime.now(UTC) + HOUR)
    assert plain.get(digest) == b"a"


def test_what_no_row_points_to_is_tidied_out_of_a_bucket(blobs: S3Blobs, tmp_path: Path) -> None:
    lost, pointed = blobs.put(b"lost"), blobs.put(b"an upload")
    with migrated_database("sqlite", tmp_path) as engine:
        with transaction(engine) as session:
            asked(session, Verify("quick").wish("local", None, pointed))
        assert tidy(engine, blobs, now=datetime.now(UTC)).blobs == 0
        assert tidy(engine, blobs, now=datetime.now(UTC) + 2 * GRACE).blobs == 1
    assert list(blobs.written_before(datetime.now(UTC) + HOUR)) == [pointed]
    with pytest.raises(NoBlob):
        blobs.get(lost)


def test_a_bucket_that_is_not_there_is_one_error_at_the_start() -> None:
    with pytest.raises(BadPlace, match="COUNTERMARK_BLOBS: 's3://nowhere-at-all'"):
        open_blobs("s3://nowhere-at-all")
    with pytest.raises(BadPlace, match="COUNTERMARK_BLOBS"):
        open_blobs("s3://")


def test_a_bucket_that_cannot_be_reached_any_more_is_told_as_that(
    blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = blobs.put(b"a")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    gone = S3Blobs(blobs.bucket, blobs.prefix, boto3.client("s3", config=QUICK))
    with pytest.raises(Unreachable):
        gone.get(digest)
    with pytest.raises(Unreachable):
        gone.put(b"b")
    with pytest.raises(Unreachable):
        list(gone.written_before(datetime.now(UTC)))


def test_a_folder_is_a_folder() -> None:
    assert isinstance(open_blobs("data/blobs"), Blobs)
