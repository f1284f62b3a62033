"""Verifying and marking over HTTP: what is taken in, what is told, and to whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.documents import MOST_ADDRESSES
from api.probing import ANONYMOUS_BUDGET
from provenance import backlog, jobs
from provenance.callers import Quota, Scope
from provenance.database import snapshot, transaction
from provenance.manifest.container import sniff
from provenance.pictures import OWNER
from tests.api.installations import Installed, installed
from tests.api.toy_worker import MODEL, announce, png, upload

RAW = {"Content-Type": "image/png", "Prefer": "wait=30"}
JPEG, WEBP = b"\xff\xd8\xff\xe0 jpeg", b"RIFF\x04\0\0\0WEBP webp"


def test_a_picture_is_verified_as_body_and_as_form(here: Installed) -> None:
    key = here.key(Scope.VERIFY)
    raw = here.client.post("/v1/verifications", content=upload("x"), headers=key | RAW)
    form = {"file": ("../../x.png", upload("x"), "text/plain")}
    sent = here.client.post("/v1/verifications", files=form, headers=key | {"Prefer": "wait=30"})
    assert (raw.status_code, sent.status_code) == (200, 200)
    one, other = raw.json(), sent.json()
    assert one["sha256"] == other["sha256"]
    assert one["verdict"]["outcome"] == "no evidence"
    assert "never means real" in one["verdict"]["leaves_open"]
    assert one["findings"]["record"]["quantity"] == "entries with this digest"
    overlay = one["overlays"][0]["url"].removeprefix("http://testserver")
    assert here.client.get(overlay, headers=key).headers["content-type"] == "image/png"
    assert here.client.get(f"{overlay}x", headers=key).status_code == 404


@pytest.mark.parametrize("data", [JPEG, WEBP, upload("x")])
def test_what_a_picture_is_is_read_from_its_first_bytes(here: Installed, data: bytes) -> None:
    answer = here.client.post("/v1/verifications", content=data, headers=here.key() | RAW)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "data", [b"GIF89a" + b"\0" * 50, b"%PDF-1.7 " + b"\0" * 50, b"<svg/>", b"\x89PNG", b"MZ"]
)
@pytest.mark.parametrize("path", ["/v1/verifications", "/v1/marks", "/v1/matches/byContent"])
def test_anything_else_is_refused_by_its_first_bytes(
    here: Installed, data: bytes, path: str
) -> None:
    answer = here.client.post(path, content=data, headers=here.key() | RAW)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
    assert "image/webp" in answer.json()["errors"][0]["limit"]


def test_a_media_type_that_is_no_picture_is_refused(here: Installed) -> None:
    header = here.key() | {"Content-Type": "application/json"}
    assert here.client.post("/v1/verifications", content=b"{}", headers=header).status_code == 415


def test_an_empty_body_and_a_form_without_a_file_name_the_field(here: Installed) -> None:
    empty = here.client.post("/v1/verifications", content=b"", headers=here.key() | RAW)
    assert (empty.status_code, empty.json()["code"]) == (422, "invalid"), empty.text
    assert empty.json()["errors"][0]["field"] == "file"
    other = {"picture": ("x.png", upload("x"), "image/png")}
    form = here.client.post("/v1/verifications", files=other, headers=here.key())
    assert (form.status_code, form.json()["code"]) == (422, "invalid"), form.text
    assert form.json()["errors"][0]["field"] == "file"
    two = [("file", ("x.png", upload("x"), "image/png")) for _ in range(2)]
    twice = here.client.post("/v1/verifications", files=two, headers=here.key())
    assert (twice.status_code, twice.json()["errors"][0]["limit"]) == (422, "1")


def test_a_form_in_any_pieces_is_the_same_and_a_cut_one_is_none(here: Installed) -> None:
    disposition = b'Content-Disposition: form-data; name="file"; filename="a;b"'
    form = b"--b\r\n" + disposition + b"\r\n\r\n" + upload("pieces") + b"\r\n--b--\r\n"
    header = here.key() | {"Content-Type": "multipart/form-data; boundary=b", "Prefer": "wait=30"}
    whole = here.client.post("/v1/verifications", content=form, headers=header)
    bits = (form[n : n + 1] for n in range(len(form)))
    pieces = here.client.post("/v1/verifications", content=bits, headers=header)
    assert whole.json()["sha256"] == pieces.json()["sha256"]
    for cut in (form[:-4], form[: len(form) // 2], form[:-20]):
        answer = here.client.post("/v1/verifications", content=cut, headers=header)
        assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize(
    "body",
    [b"", b"--b\r\n", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", b"x" * 999],
)
def test_a_broken_form_is_refused(here: Installed, body: bytes) -> None:
    header = here.key() | {"Content-Type": "multipart/form-data; boundary=b"}
    answer = here.client.post("/v1/verifications", content=body, headers=header)
    assert answer.status_code in (400, 422)
    header["Content-Type"] = "multipart/form-data"
    assert here.client.post("/v1/verifications", content=body, headers=header).status_code == 400


def test_size_is_checked_before_anything_is_looked_at(here: Installed) -> None:
    large = b"not a picture" * 2_100_000
    declared = here.client.post("/v1/verifications", content=large, headers=here.key() | RAW)
    streamed = here.client.post(
        "/v1/verifications",
        content=iter([large]),
        headers=here.key() | RAW | {"Content-Type": "application/octet-stream"},
    )
    assert declared.status_code == 413
    assert streamed.status_code == 413
    picture = upload("x") + large[:27_000_000]
    over = here.client.post("/v1/verifications", content=iter([picture]), headers=here.key() | RAW)
    assert (over.status_code, over.json()["code"]) == (413, "too-large")
    drafts = Path(here.settings.blobs) / "drafts"
    assert not drafts.exists() or list(drafts.iterdir()) == []


def test_a_file_that_no_worker_can_read_is_the_uploaders_fault(here: Installed) -> None:
    answer = here.client.post(
        "/v1/verifications", content=upload("broken"), headers=here.key() | RAW
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable-picture")
    job = answer.json()["instance"].removeprefix("http://testserver")
    kept = here.client.get(job, headers=here.key()).json()
    assert kept["fault"] == {"code": "unreadable", "detail": "upload: not a picture"}


def test_without_a_key_there_is_a_verdict_and_no_number(here: Installed) -> None:
    data = upload("seen by anyone")
    full = here.client.post("/v1/verifications", content=data, headers=here.key() | RAW).json()
    coarse = here.client.post("/v1/verifications", content=data, headers=RAW).json()
    assert (full["detail"], coarse["detail"]) == ("full", "coarse")
    assert coarse["verdict"]["outcome"] == full["verdict"]["outcome"]
    assert coarse["findings"]["record"] == {
        "state": "not recorded",
        "quantity": None,
        "value": None,
        "threshold": None,
        "version": None,
        "caveat": None,
        "entries": [],
    }
    assert (coarse["mark"], coarse["overlays"]) == (None, [])


def test_a_wrong_key_is_not_taken_for_no_key(here: Installed) -> None:
    header = RAW | {"Authorization": "Bearer cm_wrong"}
    answer = here.client.post("/v1/verifications", content=upload("x"), headers=header)
    assert answer.status_code == 401


def test_near_duplicates_of_one_picture_are_answered_a_few_times(here: Installed) -> None:
    answers = []
    for number in range(ANONYMOUS_BUDGET + 2):
        here.app.state.installation.buckets.__init__()  # the rate is not what is tried here
        data = upload(f"one picture|{number}")
        answers.append(here.client.post("/v1/verifications", content=data, headers=RAW))
    codes = [answer.status_code for answer in answers]
    assert codes == [200] * ANONYMOUS_BUDGET + [429, 429]
    assert answers[-1].json()["code"] == "detector-probing"
    assert answers[-1].headers["retry-after"] == "3600"
    other = here.client.post("/v1/verifications", content=upload("another"), headers=RAW)
    assert other.status_code == 200
    keyed = here.client.post(
        "/v1/verifications", content=upload("one picture|x"), headers=here.key() | RAW
    )
    assert keyed.status_code == 200


def test_a_withheld_answer_stays_withheld_and_the_same_file_is_no_probing(here: Installed) -> None:
    here.app.state.installation.buckets.__init__()
    known = [upload(f"again and again|{n}") for n in range(ANONYMOUS_BUDGET)]
    for data in (*known, known[0], known[1]):
        here.app.state.installation.buckets.__init__()
        answer = here.client.post("/v1/verifications", content=data, headers=RAW)
        assert answer.status_code == 200


def test_the_rate_without_a_key_is_low_and_told(here: Installed) -> None:
    here.app.state.installation.buckets.__init__()
    answer = here.client.post("/v1/verifications", content=b"no picture", headers=RAW)
    for _ in range(100):  # a slow machine gets some of the rate back meanwhile
        if answer.status_code == 429:
            break
        assert answer.status_code == 415
        answer = here.client.post("/v1/verifications", content=b"no picture", headers=RAW)
    assert answer.headers["ratelimit-policy"] == '"anonymous";q=20;w=60'
    assert answer.headers["ratelimit"].startswith('"anonymous";r=0;t=')
    assert int(answer.headers["retry-after"]) >= 1


def test_a_picture_is_marked(here: Installed) -> None:
    made = here.client.post("/v1/marks", content=upload("to mark"), headers=here.key() | RAW)
    assert made.status_code == 200
    image = made.json()["images"][0]
    file = here.client.get(image["url"].removeprefix("http://testserver"), headers=here.key())
    assert file.content.startswith(png("")[:8])
    unknown = here.client.post("/v1/marks?model=x", content=upload("a"), headers=here.key() | RAW)
    assert unknown.status_code == 404


def test_a_model_that_marks_no_uploads_says_so_at_the_door(here: Installed) -> None:
    announce(here.engine, [replace(MODEL, name="scales", uploads=False)])
    listed = here.client.get("/v1/models", headers=here.key()).json()["data"]
    assert {one["id"]: one["uploads"] for one in listed}["scales"] is False
    asked = here.client.post(
        "/v1/marks?model=scales", content=upload("a"), headers=here.key() | RAW
    )
    assert (asked.status_code, asked.json()["errors"][0]["field"]) == (422, "model")
    assert "cannot mark uploads" in asked.json()["errors"][0]["detail"]


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_marked_picture_comes_in_the_format_that_was_asked_for(
    here: Installed, kind: str
) -> None:
    key, query = here.key() | RAW, f"output_format={kind}&output_compression=70"
    made = here.client.post(f"/v1/marks?{query}", content=upload("m"), headers=key).json()
    (image,) = made["images"]
    file = here.client.get(image["url"].removeprefix("http://testserver"), headers=key)
    assert image["media_type"] == file.headers["content-type"] == f"image/{kind}"
    assert sniff(file.content) == f"image/{kind}"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("output_format=gif", "output_format"),
        ("output_compression=50", "output_compression"),
        ("output_format=jpeg&output_compression=101", "output_compression"),
    ],
)
def test_a_format_that_cannot_be_had_is_named(here: Installed, query: str, field: str) -> None:
    answer = here.client.post(f"/v1/marks?{query}", content=upload("m"), headers=here.key() | RAW)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert [one["field"] for one in answer.json()["errors"]] == [field]


def test_the_same_upload_under_one_idempotency_key_is_one_job(here: Installed) -> None:
    header = here.key() | RAW | {"Idempotency-Key": "v"}
    first = here.client.post("/v1/verifications", content=upload("once"), headers=header).json()
    again = here.client.post("/v1/verifications", content=upload("once"), headers=header).json()
    assert first == again
    other = here.client.post("/v1/verifications", content=upload("twice"), headers=header)
    assert other.json()["code"] == "idempotency-key-reused"


ADDRESSES = ["https://example.com/a.png", "https://example.com:8443/b.png?size=large"]


def batch(*urls: str) -> dict[str, object]:
    return {"verifications": [{"url": url} for url in urls]}


@pytest.fixture(scope="module")
def fetching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """An installation that fetches, whose worker rests."""
    with installed(tmp_path_factory.mktemp("fetching"), fetch=True) as found:
        found.worker.rest()
        yield found


def test_nothing_is_fetched_unless_the_operator_allows_it(here: Installed) -> None:
    key = here.key(Scope.VERIFY)
    answer = here.client.post("/v1/verifications/batch", json=batch(*ADDRESSES), headers=key)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert "fetches nothing" in answer.json()["detail"]


def test_a_batch_of_addresses_is_a_job_each(fetching: Installed) -> None:
    key = fetching.key(Scope.VERIFY) | {"Idempotency-Key": "addresses"}
    answer = fetching.client.post("/v1/verifications/batch", json=batch(*ADDRESSES), headers=key)
    assert answer.status_code == 202
    made = answer.json()["verifications"]
    assert [one["state"] for one in made] == ["queued", "queued"]
    assert {one["sha256"] for one in made} == {None}
    assert "example.com" not in answer.text
    with snapshot(fetching.engine) as session:
        read = [jobs.read(session, one["id"], OWNER) for one in made]
    assert [job.wish.source for job in read] == ADDRESSES
    again = fetching.client.post("/v1/verifications/batch", json=batch(*ADDRESSES), headers=key)
    assert [one["id"] for one in again.json()["verifications"]] == [one["id"] for one in made]


def test_an_address_is_forgotten_when_its_job_ends(fetching: Installed) -> None:
    key = fetching.key(Scope.VERIFY)
    made = fetching.client.post("/v1/verifications/batch", json=batch(*ADDRESSES), headers=key)
    ids = [one["id"] for one in made.json()["verifications"]]
    with transaction(fetching.engine) as session:
        jobs.cancel(session, ids[0], OWNER, now=datetime.now(UTC))
        sources = [jobs.read(session, one, OWNER).wish.source for one in ids]
    assert sources == [None, ADDRESSES[1]]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.png",
        "https://user@example.com/a.png",
        "https://example.com:22/a.png",
        "https://example.com/a b",
        "https://example.com/#a",
        "ftp://example.com/a",
        "a.png",
        "",
        "https://example.com/" + "a" * 2000,
    ],
)
def test_one_wrong_address_queues_nothing(fetching: Installed, url: str) -> None:
    key = fetching.key(Scope.VERIFY)
    before = count(fetching)
    wrong = batch(ADDRESSES[0], url)
    answer = fetching.client.post("/v1/verifications/batch", json=wrong, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["errors"][0]["field"] == "verifications.1.url"
    assert count(fetching) == before


def test_a_batch_has_a_limit_and_needs_a_key(fetching: Installed) -> None:
    key = fetching.key(Scope.VERIFY)
    before = count(fetching)
    many = batch(*(ADDRESSES[0] for _ in range(MOST_ADDRESSES + 1)))
    for wrong in (many, batch()):
        answer = fetching.client.post("/v1/verifications/batch", json=wrong, headers=key)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "verifications")
    nobody = fetching.client.post("/v1/verifications/batch", json=batch(*ADDRESSES))
    assert nobody.status_code == 401
    assert count(fetching) == before


def test_a_batch_that_is_over_the_quota_queues_nothing(fetching: Installed) -> None:
    fetching.tenant("small", {Quota.PICTURES: 1, Quota.CHECKS: 1})
    key = fetching.key(Scope.VERIFY, tenant="small")
    before = count(fetching)
    answer = fetching.client.post("/v1/verifications/batch", json=batch(*ADDRESSES), headers=key)
    assert (answer.status_code, answer.json()["code"]) == (429, "quota-exceeded")
    assert count(fetching) == before


def count(where: Installed) -> int:
    with snapshot(where.engine) as session:
        return sum(backlog.count(session).values())
