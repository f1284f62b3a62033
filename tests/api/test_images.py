"""Pictures over HTTP: bytes, parts of them, proof and manifest."""

from __future__ import annotations

from hashlib import sha256

import pytest

from provenance.ledger.proof import open_proof
from provenance.ledger.record import Picture
from provenance.manifest.container import scan, sniff
from tests.api.installations import Installed


@pytest.fixture(scope="module")
def image(here: Installed) -> str:
    header = here.key() | {"Prefer": "wait=30"}
    made = here.client.post("/v1/generations", json={"prompt": "a pear"}, headers=header).json()
    return f"/v1/images/{made['images'][0]['id']}"


def test_the_file_is_what_was_recorded_and_never_changes(here: Installed, image: str) -> None:
    key = here.key()
    file = here.client.get(image, headers=key)
    assert file.headers["content-type"] == "image/png"
    assert file.headers["etag"] == f'"{sha256(file.content).hexdigest()}"'
    assert "immutable" in file.headers["cache-control"]
    record = open_proof(here.client.get(f"{image}.proof", headers=key).content, here.log).record
    assert isinstance(record, Picture)
    assert record.file == sha256(file.content).digest()


def test_who_has_the_file_is_told_so(here: Installed, image: str) -> None:
    key = here.key()
    tag = here.client.get(image, headers=key).headers["etag"]
    for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = here.client.get(image, headers=key | {"If-None-Match": given})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    assert here.client.get(image, headers=key | {"If-None-Match": '"x"'}).status_code == 200


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("bytes=0-9", 0, 9), ("bytes=5-", 5, None), ("bytes=-7", -7, None)],
)
def test_a_range_is_a_part(
    here: Installed, image: str, wanted: str, first: int, last: int | None
) -> None:
    key = here.key()
    whole = here.client.get(image, headers=key).content
    part = here.client.get(image, headers=key | {"Range": wanted})
    assert part.status_code == 206
    assert part.content == whole[first : None if last is None else last + 1]
    start = first % len(whole)
    end = start + len(part.content) - 1
    assert part.headers["content-range"] == f"bytes {start}-{end}/{len(whole)}"


@pytest.mark.parametrize("wanted", ["bytes=9-5", "bytes=-", "lines=1-2", "bytes=0-1,3-4", "x"])
def test_a_range_that_means_nothing_is_the_whole(here: Installed, image: str, wanted: str) -> None:
    assert here.client.get(image, headers=here.key() | {"Range": wanted}).status_code == 200


def test_a_range_behind_the_end_is_refused_with_the_length(here: Installed, image: str) -> None:
    answer = here.client.get(image, headers=here.key() | {"Range": "bytes=999999-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range-not-satisfiable")
    assert answer.headers["content-range"].startswith("bytes */")


def test_a_range_of_another_file_is_the_whole(here: Installed, image: str) -> None:
    header = here.key() | {"Range": "bytes=0-9", "If-Range": '"of another file"'}
    assert here.client.get(image, headers=header).status_code == 200


def test_the_manifest_is_the_files_own(here: Installed, image: str) -> None:
    key = here.key()
    file = here.client.get(image, headers=key).content
    store = here.client.get(f"{image}.manifest", headers=key)
    assert store.headers["content-type"] == "application/c2pa"
    assert store.content == scan(file).store


def test_a_proof_is_there_once_a_checkpoint_covers_the_record(here: Installed, image: str) -> None:
    entry = here.append_unsigned()
    missing = here.client.get(f"/v1/records/{entry}/proof", headers=here.key())
    assert (missing.status_code, missing.headers["retry-after"]) == (404, "1")
    here.worker.sign()
    assert here.client.get(f"/v1/records/{entry}/proof", headers=here.key()).status_code == 200


@pytest.mark.parametrize(("kind", "extension"), [("jpeg", "jpg"), ("webp", "webp")])
def test_a_file_of_another_format_says_what_it_is(
    here: Installed, kind: str, extension: str
) -> None:
    key = here.key()
    wish = {"prompt": "a pear", "output_format": kind, "output_compression": 80}
    made = here.client.post("/v1/generations", json=wish, headers=key | {"Prefer": "wait=30"})
    (image,) = made.json()["images"]
    assert image["media_type"] == f"image/{kind}"
    file = here.client.get(f"/v1/images/{image['id']}", headers=key)
    assert file.headers["content-type"] == f"image/{kind}"
    assert file.headers["content-disposition"].endswith(f'.{extension}"')
    assert sniff(file.content) == f"image/{kind}"
    assert sha256(file.content).hexdigest() == image["sha256"]
    store = here.client.get(f"/v1/images/{image['id']}.manifest", headers=key)
    assert store.content == scan(file.content).store
