"""Blobs in a bucket of S3, or of what speaks its protocol, by the SHA-256 of their bytes.

A blob is in the bucket, whole, before its digest is given out: the digest goes with the bytes, so
the bucket refuses what arrives damaged, and what is read is checked again. Putting the same bytes
twice is putting them once. Where the bucket is, and who asks, the AWS_ variables of boto3 say:
AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_ACCESS_KEY_ID and so on. Blobs are removed only from a bucket
with versions, by version, so that whoever puts the same bytes meanwhile keeps them.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from provenance.blobs import BadPlace, Damaged, Digest, NoBlob, Unreachable, Upload

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 30, 4
_GONE = ("NoSuchKey", "404")
_UNVERSIONED = "null"
_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class S3Blobs:
    """The blobs of an installation under one prefix of a bucket; for many threads."""

    bucket: str
    prefix: str  # ends with a slash, or is empty
    client: Any = field(repr=False)

    def put(self, data: bytes) -> Digest:
        """The digest of bytes that are kept when this returns; raises Unreachable."""
        digest = Digest(sha256(data).digest())
        self._send(data, digest)
        return digest

    @contextmanager
    def receive(self, *, limit: int) -> Iterator[Upload]:
        """An upload of at most `limit` bytes, in a file of this machine until it is finished."""
        with NamedTemporaryFile() as file:
            yield Upload(self, file, Path(file.name), limit)

    def get(self, digest: Digest) -> bytes:
        """The bytes of a digest; raises NoBlob, Damaged, Unreachable."""
        try:
            with _reached():
                found = self.client.get_object(Bucket=self.bucket, Key=self._key(digest))
                with found["Body"] as body:
                    data: bytes = body.read()
        except ClientError as e:
            raise NoBlob(f"no bytes of SHA-256 {digest.hex()} are kept") from e
        if sha256(data).digest() != digest:
            raise Damaged(f"the blob {digest.hex()} in bucket {self.bucket} holds other bytes")
        return data

    def keep(self, draft: Path, digest: Digest) -> None:
        """Puts a whole draft under its digest; raises Unreachable."""
        with draft.open("rb") as file:
            self._send(file, digest)

    def written_before(self, moment: datetime) -> Iterator[Digest]:
        """Every blob that was put last before a time."""
        pages = self.client.get_paginator("list_objects_v2")
        with _reached():
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix):
                for one in page.get("Contents", ()):
                    name = one["Key"].rpartition("/")[2]
                    if one["LastModified"] < moment and _NAME.fullmatch(name):
                        yield Digest(bytes.fromhex(name))

    def remove(self, digest: Digest, *, before: datetime) -> bool:
        """Whether the blob is gone now; not if it was put again, or the bucket has no versions."""
        key = self._key(digest)
        with _reached():
            listed = self.client.list_object_versions(Bucket=self.bucket, Prefix=key)
            versions = [one for one in listed.get("Versions", ()) if one["Key"] == key]
            new = any(one["LastModified"] >= before for one in versions)
            if not versions or new or any(one["VersionId"] == _UNVERSIONED for one in versions):
                return False
            for one in versions:
                self.client.delete_object(Bucket=self.bucket, Key=key, VersionId=one["VersionId"])
        return True

    def remove_drafts(self, *, before: datetime) -> int:
        """None: a draft is a file of the process that writes it, and goes with its machine."""
        return 0

    def _key(self, digest: Digest) -> str:
        name = digest.hex()
        return f"{self.prefix}{name[:2]}/{name}"

    def _send(self, body: bytes | IO[bytes], digest: Digest) -> None:
        with _reached():
            self.client.put_object(
                Bucket=self.bucket,
                Key=self._key(digest),
                Body=body,
                ChecksumSHA256=b64encode(digest).decode(),
            )


def connect(url: str) -> S3Blobs:
    """The blobs at `s3://BUCKET[/PREFIX]`; raises BadPlace if they cannot be reached."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        client = boto3.client("s3", config=config)
        with _reached():
            client.head_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError, ValueError, Unreachable) as e:
        raise BadPlace(f"COUNTERMARK_BLOBS: {url[:200]!r}: {e}") from e
    return S3Blobs(bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else "", client)


@contextmanager
def _reached() -> Iterator[None]:
    """Around asking the bucket: raises Unreachable, unless what is asked for is not there."""
    try:
        yield
    except ClientError as e:
        if e.response.get("Error", {}).get("Code") in _GONE:
            raise
        raise Unreachable(f"the blobs cannot be reached: {e}") from e
    except (BotoCoreError, OSError) as e:
        raise Unreachable(f"the blobs cannot be reached: {e}") from e
