"""What nothing points to goes, in time; what a row points to stays, whoever writes meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa

from provenance import jobs, pictures, previews
from provenance.blobs import DRAFTS, Blobs, Digest, NoBlob
from provenance.database import transaction
from provenance.forgetting import forget
from provenance.jobs import Kind
from provenance.ledger.log import Draft, append
from provenance.pictures import Picture
from provenance.previews import Preview
from provenance.replays import REMEMBERED, Once
from provenance.tables import PreviewRow
from provenance.tidying import GRACE, Tidied, tidy
from provenance.wishes import Verify
from tests.databases import KINDS, migrated_database
from tests.provenance.ledger.logs import picture
from tests.provenance.wishes import asked, at, claimed, drawing

NOW = datetime.now(UTC)
LATER = NOW + 2 * GRACE
NOTHING = Tidied(0, 0, 0, 0, 0)


@pytest.fixture(params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    with migrated_database(str(request.param), tmp_path) as made:
        yield made


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def test_a_blob_goes_once_it_is_old_and_nothing_points_to_it(
    engine: sa.Engine, blobs: Blobs
) -> None:
    assert tidy(engine, blobs, now=LATER) == NOTHING
    lost = blobs.put(b"lost")
    (blobs.folder / DRAFTS / "left").write_bytes(b"half")
    assert tidy(engine, blobs, now=NOW) == NOTHING
    assert blobs.get(lost) == b"lost"
    assert tidy(engine, blobs, now=LATER) == Tidied(
        blobs=1, drafts=1, previews=0, keys=0, deliveries=0
    )
    with pytest.raises(NoBlob):
        blobs.get(lost)
    assert blobs.get(blobs.put(b"lost")) == b"lost"


def test_a_recorded_picture_stays_for_ever(engine: sa.Engine, blobs: Blobs) -> None:
    file = blobs.put(b"a recorded picture")
    with transaction(engine) as session:
        job = asked(session, drawing())
        claim = claimed(session, seconds=1)
        jobs.finish(session, claim, {"pictures": ["p"]}, now=at(2))
        (entry,) = append(session, [Draft(picture("p"))])
        made = Picture("p", entry.index, "local", job.id, 0, file, "image/png", 1, 1, {}, at(2))
        pictures.store(session, [made])
        forget(session, before=LATER, now=LATER)
    assert tidy(engine, blobs, now=LATER + 1000 * GRACE, grace=timedelta(0)) == NOTHING
    assert blobs.get(file) == b"a recorded picture"


def test_an_upload_and_its_overlay_go_once_their_job_forgets(
    engine: sa.Engine, blobs: Blobs
) -> None:
    upload, overlay = blobs.put(b"an upload"), blobs.put(b"an overlay")
    with transaction(engine) as session:
        job = asked(session, Verify("quick").wish("local", None, upload))
        later = Verify("quick").wish("local", None, blobs.put(b"another"))
        waiting = asked(session, later, seconds=1)
        claim = claimed(session, Kind.VERIFY, seconds=1)
        shown = [{"name": "mark", "sha256": overlay.hex()}]
        read = {"state": "trusted", "statement": {"signer": "someone"}}
        result = {"overlays": shown, "sha256": upload.hex(), "manifest": read}
        jobs.finish(session, claim, result, now=at(2), blobs=[overlay])
    assert tidy(engine, blobs, now=LATER) == NOTHING
    with transaction(engine) as session:
        assert forget(session, before=at(50), now=at(60)) == 1
        ended = jobs.read(session, job.id, "local")
        left = {**result, "overlays": [], "manifest": {"state": "trusted", "statement": None}}
        assert (ended.wish.upload, ended.result) == (None, left)
        assert jobs.read(session, waiting.id, "local").wish.upload is not None
    assert tidy(engine, blobs, now=LATER).blobs == 2
    with pytest.raises(NoBlob):
        blobs.get(upload)
    assert blobs.get(Digest(sha256(b"another").digest())) == b"another"


def test_an_upload_that_another_job_was_given_stays(engine: sa.Engine, blobs: Blobs) -> None:
    upload = blobs.put(b"an upload")
    with transaction(engine) as session:
        for end in (True, False):
            job = asked(session, Verify("quick").wish("local", None, upload))
            if end:
                jobs.cancel(session, job.id, "local", now=at(1))
        assert forget(session, before=at(50), now=at(60)) == 1
    assert tidy(engine, blobs, now=LATER) == NOTHING
    assert blobs.get(upload) == b"an upload"


def test_previews_of_ended_jobs_and_expired_keys_go(engine: sa.Engine, blobs: Blobs) -> None:
    once = Once("key", b"digest")
    with transaction(engine) as session:
        first = asked(session, drawing(), once=once)
        claim = claimed(session, seconds=1)
        previews.show(session, claim, [Preview(0, 1, b"png")])
        over = asked(session, drawing())
        jobs.cancel(session, over.id, "local", now=at(2))
        session.add(PreviewRow(job=over.id, number=0, step=1, png=b"left"))
    assert tidy(engine, blobs, now=at(0) + REMEMBERED) == Tidied(
        0, 0, previews=1, keys=0, deliveries=0
    )
    with transaction(engine) as session:
        assert asked(session, drawing(), seconds=3, once=once).id == first.id
    assert tidy(engine, blobs, now=at(1) + REMEMBERED) == Tidied(0, 0, 0, keys=1, deliveries=0)
    with transaction(engine) as session:
        assert asked(session, drawing(), seconds=4, once=once).id != first.id
        assert len(previews.read(session, first.id)) == 1


def test_a_blob_that_is_written_again_while_it_is_looked_at_stays(tmp_path: Path) -> None:
    with migrated_database("sqlite", tmp_path) as engine:
        blobs = Written(tmp_path / "blobs")
        digest = blobs.put(b"bytes")
        old = (NOW - 2 * GRACE).timestamp()
        os.utime(blobs.path(digest), (old, old))
        assert tidy(engine, blobs, now=NOW) == NOTHING
        assert blobs.get(digest) == b"bytes"


class Written(Blobs):
    """Blobs that someone writes again just after they were found to be old."""

    def written_before(self, moment: datetime) -> Iterator[Digest]:
        for digest in super().written_before(moment):
            data = self.get(digest)
            yield digest
            self.put(data)


ROUNDS = 100
TIDIER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from provenance.blobs import Blobs
from provenance.database import connect
from provenance.tidying import tidy
engine, blobs = connect(sys.argv[1]), Blobs(Path(sys.argv[2]))
print("ready", flush=True)
while not Path(sys.argv[2], "stop").exists():
    tidy(engine, blobs, now=datetime.now(UTC), grace=timedelta(seconds=30))
"""


def test_writers_lose_nothing_to_processes_that_tidy(tmp_path: Path) -> None:
    with migrated_database("sqlite", tmp_path) as engine:
        blobs = Blobs(tmp_path / "blobs")
        blobs.put(b"")
        url = engine.url.render_as_string(hide_password=False)
        command = [sys.executable, "-c", TIDIER, url, str(blobs.folder)]
        tidiers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        try:
            for one in tidiers:
                assert one.stdout is not None
                assert one.stdout.readline() == "ready\n"
            writers = [threading.Thread(target=write, args=(engine, blobs, n)) for n in range(2)]
            for writer in writers:
                writer.start()
            for writer in writers:
                writer.join()
        finally:
            (blobs.folder / "stop").touch()
            ended = [one.wait(60) for one in tidiers]
            for one in tidiers:
                assert one.stdout is not None
                one.stdout.close()
        assert ended == [0, 0]
        with transaction(engine) as session:
            uploads = [job.wish.upload for job in jobs.page(session, "local", limit=1000)]
        assert len(set(uploads)) == 2 * ROUNDS
        for upload in uploads:
            assert upload is not None
            assert sha256(blobs.get(upload)).digest() == upload


def write(engine: sa.Engine, blobs: Blobs, writer: int) -> None:
    """Keeps files that are there already, and so old that they may just be going."""
    old = (NOW - timedelta(days=9)).timestamp()
    for number in range(ROUNDS):
        data = f"{writer} {number}".encode()
        os.utime(blobs.path(blobs.put(data)), (old, old))
        digest = blobs.put(data)
        with transaction(engine) as session:
            jobs.ask(session, Verify("quick").wish("local", None, digest), now=NOW)
