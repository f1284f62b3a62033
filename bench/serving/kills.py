"""Nothing is lost: jobs while everything that can die does, at random.

Workers, their children, the server and the supervisor are killed (SIGKILL); deployed, the
connections to PostgreSQL and to the broker are cut and refused for a while. Every job that was
acknowledged must end once, and the log, the pictures and the files must be there together.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from bench.marks.page import Table
from bench.serving.running import Running
from provenance import backlog, jobs
from provenance.blobs import Blobs
from provenance.database import snapshot, transaction
from provenance.jobs import State
from provenance.tables import SpentRow, TenantRow
from workers.folder import TENANT, open_folder
from workers.inventory import Inventory, check_ended, take_inventory

CLIENTS = 8
PAUSE = 0.5  # of the time that the service takes to start, between two blows, on average
OUTAGE = 2.0  # seconds that a connection is refused
ENDING = 1800.0  # seconds for the last job to end, once nothing is killed any more
LOOK = 0.5


@dataclass(frozen=True)
class Outcome:
    """What became of it all."""

    acknowledged: int
    ended: Counter[State]
    blows: Counter[str]
    inventory: Inventory


def run(
    running: Running, uploads: Sequence[bytes], *, count: int, model: str, seed: int
) -> Outcome:
    """Asks for `count` jobs under fire, waits for their end, and checks; raises Incomplete."""
    lift_quotas(running)
    before = _count(running)
    stop, blows = threading.Event(), Counter[str]()
    rng = random.Random(seed)  # noqa: S311 - to be the same again, not to be secret
    enemy = threading.Thread(target=_hurt, args=(running, stop, blows, rng))
    enemy.start()
    try:
        acknowledged = _ask(running, uploads, count, model)
        _wait(running, acknowledged, left=len(acknowledged) // 10)
    finally:
        stop.set()
        enemy.join()
    _wait(running, acknowledged, left=0)
    if (made := _count(running) - before) != len(acknowledged):
        raise AssertionError(f"{len(acknowledged)} jobs were acknowledged, {made} were made")
    return _checked(running, acknowledged, blows)


def table(results: dict[str, Outcome]) -> Table:
    """One row an installation."""
    rows = []
    for name, one in results.items():
        ended = ", ".join(f"{state.value} {count}" for state, count in sorted(one.ended.items()))
        blows = ", ".join(f"{what} {count}" for what, count in sorted(one.blows.items()))
        kept = f"{one.inventory.pictures} of {one.inventory.entries} entries"
        rows.append((name, str(one.acknowledged), ended, blows, kept))
    header = ("installation", "acknowledged jobs", "ended", "killed or cut", "pictures recorded")
    return Table("kills", header, tuple(rows), ("Every job ended once, and nothing is missing.",))


def _ask(running: Running, uploads: Sequence[bytes], count: int, model: str) -> list[str]:
    """The ids of acknowledged jobs, half of them to draw and half to check."""

    def ask(number: int) -> str:
        key = f"kills-{number}"
        if number % 2:
            return running.client.verify(uploads[number % len(uploads)], key)
        return running.client.generate(f"picture {number}", number, 1 + number % 3, key, model)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(ask, range(count)))


def _hurt(running: Running, stop: threading.Event, blows: Counter[str], rng: random.Random) -> None:
    while not stop.wait(rng.expovariate(1 / (PAUSE * running.started))):
        weapon = rng.randrange(len(running.proxies) + 4)
        if weapon < len(running.proxies):
            proxy = running.proxies[weapon]
            proxy.cut()
            stop.wait(OUTAGE)
            proxy.mend()
            blows["connections cut"] += 1
        elif victims := running.victims():
            with suppress(ProcessLookupError):
                os.kill(rng.choice(victims), signal.SIGKILL)
                blows["processes killed"] += 1
        running.tend()
    running.tend()


def _wait(running: Running, acknowledged: Sequence[str], *, left: int) -> None:
    """Returns once at most `left` of the jobs have not ended; raises Incomplete."""
    deadline = time.monotonic() + ENDING
    with open_folder(running.folder) as folder:
        while True:
            with snapshot(folder.engine) as session:
                counted = backlog.count(session)
            waiting = sum(n for (_, state), n in counted.items() if state not in jobs.ENDED)
            if waiting <= left:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{waiting} jobs have not ended: {counted}")
            running.tend()
            time.sleep(LOOK)


def _checked(running: Running, acknowledged: Sequence[str], blows: Counter[str]) -> Outcome:
    if len(set(acknowledged)) != len(acknowledged):
        raise AssertionError("two requests were acknowledged by one job")
    with open_folder(running.folder) as folder:
        blobs = Blobs(folder.path / "blobs")
        with snapshot(folder.engine) as session:
            ended = Counter(check_ended(session, one, TENANT) for one in acknowledged)
        return Outcome(len(acknowledged), ended, blows, take_inventory(folder, blobs))


def _count(running: Running) -> int:
    """How many jobs there are, ended or not."""
    with open_folder(running.folder) as folder, snapshot(folder.engine) as session:
        return sum(backlog.count(session).values())


def lift_quotas(running: Running) -> None:
    with open_folder(running.folder) as folder, transaction(folder.engine) as session:
        tenant = session.get_one(TenantRow, TENANT)
        tenant.pictures_a_day = tenant.checks_a_day = 10**9
        session.query(SpentRow).delete()
