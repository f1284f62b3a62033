"""The door while its database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from api.watching import Watch
from provenance.blobs import Blobs, Digest, Unreachable, Upload
from tests.api.installations import installed
from tests.api.toy_worker import upload


def test_a_database_that_is_away_is_told_and_comes_back(tmp_path: Path) -> None:
    with installed(tmp_path) as here:
        key = here.key()
        here.worker.stop()
        here.engine.dispose()
        here.app.state.installation.engine.dispose()
        files = [one for one in tmp_path.iterdir() if one.name.startswith("countermark.db")]
        away = tmp_path / "away"
        away.mkdir()
        for one in files:
            one.rename(away / one.name)
        (tmp_path / "countermark.db").mkdir()
        told = here.client.get("/v1/generations", headers=key)
        assert (told.status_code, told.json()["code"]) == (503, "unavailable")
        assert told.headers["retry-after"] == "5"
        assert here.client.get("/health").status_code == 200
        ready = here.client.get("/ready")
        assert (ready.status_code, ready.json()["database"]) == (503, "down")
        (tmp_path / "countermark.db").rmdir()
        for one in files:
            (away / one.name).rename(one)
        assert here.client.get("/v1/generations", headers=key).status_code == 200


def test_a_waiter_is_told_the_end_and_gives_up_in_time(tmp_path: Path) -> None:
    with installed(tmp_path) as here:
        key = here.key()
        here.worker.rest()
        job = here.client.post("/v1/generations", json={"prompt": "x"}, headers=key).json()["id"]

        async def wait() -> bool:
            return await Watch(here.engine).until_ended(job, 0.2)

        assert asyncio.run(wait()) is False
        here.worker.resume()

        async def wait_longer() -> bool:
            return await Watch(here.engine).until_ended(job, 60)

        assert asyncio.run(wait_longer()) is True


class Away(Blobs):
    """Blobs that do not answer."""

    def get(self, digest: Digest) -> bytes:
        raise Unreachable("bucket secret does not answer")

    @contextmanager
    def receive(self, *, limit: int) -> Iterator[Upload]:
        raise Unreachable("bucket secret does not answer")
        yield


def test_blobs_that_are_away_are_told_without_saying_where_they_are(tmp_path: Path) -> None:
    with installed(tmp_path) as here:
        key = here.key()
        wish = {"prompt": "x"}
        wait = key | {"Prefer": "wait=30"}
        (image,) = here.client.post("/v1/generations", json=wish, headers=wait).json()["images"]
        there = here.app.state.installation
        here.app.state.installation = replace(there, blobs=Away(tmp_path / "away"))
        raw = key | {"Content-Type": "image/png"}
        for told in (
            here.client.get(f"/v1/images/{image['id']}", headers=key),
            here.client.post("/v1/verifications", content=upload("x"), headers=raw),
        ):
            assert (told.status_code, told.json()["code"]) == (503, "unavailable")
            assert "secret" not in told.text
