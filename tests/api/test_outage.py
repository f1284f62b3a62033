"""The door while its database is away."""

from __future__ import annotations

import asyncio
from pathlib import Path

from api.watching import Watch
from tests.api.installations import installed


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
