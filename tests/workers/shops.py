"""An installation for the tests of the workers: a data folder, its blobs, the toy generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from generators.catalog import Generator
from provenance import jobs, pictures, policies
from provenance.blobs import Blobs
from provenance.database import snapshot, transaction
from provenance.jobs import Job, Wish
from provenance.pictures import OWNER
from provenance.wishes import Generate, Mark, Verify
from tests.workers.toys import generator
from workers.folder import DataFolder, make, open_folder
from workers.inventory import take_inventory
from workers.studio import Studio


@dataclass(frozen=True)
class Shop:
    """An open installation, and the worker that draws in this process."""

    folder: DataFolder
    blobs: Blobs
    studio: Studio

    def draw(
        self,
        prompt: str = "a",
        *,
        tenant: str = OWNER,
        count: int = 1,
        seed: int = 1,
        output_format: str = "png",
        output_compression: int = 100,
    ) -> Job:
        """A queued job of drawing."""
        asked = Generate("toy", prompt, seed, count, "lexical")
        written = replace(asked, output_format=output_format, output_compression=output_compression)
        return self.ask(written.wish(tenant, None))

    def verify(self, data: bytes, *, tenant: str = OWNER, search: str = "quick") -> Job:
        """A queued job of checking these bytes."""
        return self.ask(Verify(search).wish(tenant, None, self.blobs.put(data)))

    def mark(
        self,
        data: bytes,
        *,
        tenant: str = OWNER,
        output_format: str = "png",
        output_compression: int = 100,
    ) -> Job:
        """A queued job of marking these bytes."""
        asked = Mark("toy", output_format=output_format, output_compression=output_compression)
        return self.ask(asked.wish(tenant, None, self.blobs.put(data)))

    def ask(self, wish: Wish) -> Job:
        """A queued job."""
        with transaction(self.folder.engine) as session:
            return jobs.ask(session, wish, now=datetime.now(UTC))

    def ban(self, **more: object) -> None:
        """A policy for all tenants and models that bans guns."""
        concept = {"name": "gun", "phrases": ["a gun"], "action": "refuse", **more}
        with transaction(self.folder.engine) as session:
            policies.make(
                session,
                {"concepts": [concept]},
                tenant=policies.EVERY,
                model=policies.EVERY,
                author="test",
                now=datetime.now(UTC),
            )

    def read(self, job: Job) -> Job:
        """The job as it is now."""
        with snapshot(self.folder.engine) as session:
            return jobs.read(session, job.id, job.wish.tenant)

    def file(self, job: Job, number: int = 0) -> bytes:
        """The bytes of a picture of a finished job."""
        with snapshot(self.folder.engine) as session:
            return self.blobs.get(pictures.of_job(session, job.id)[number].blob)

    def check(self) -> None:
        """The invariant: the log holds; pictures, records, files and jobs are there together."""
        assert take_inventory(self.folder, self.blobs).commanded == 0


@contextmanager
def opened(place: Path, *, toy: Generator | None = None) -> Iterator[Shop]:
    """A new installation, closed afterwards."""
    made = toy or generator(place)[0]
    make(place / "data", now=datetime.now(UTC))
    with open_folder(place / "data") as folder:
        blobs = Blobs(folder.path / "blobs")
        yield Shop(folder, blobs, Studio(folder, blobs, load=lambda _: made, stop=Event()))
