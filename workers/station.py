"""`python -m workers.station draw|check|keep`: a worker that looks for jobs itself, with no broker.

It looks every IDLE seconds, which costs one read, and works until it is told to stop. What it held
then goes back into the queue; a worker that is killed leaves its leases to run out. While the
database cannot be reached it waits.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

from sqlalchemy.exc import OperationalError

from provenance import jobs, models
from provenance.blobs import Blobs
from provenance.database import snapshot, transaction
from provenance.jobs import LEASE, Kind
from provenance.models import ANNOUNCE, Model
from provenance.settings import Settings, reach, read_settings
from workers import queue
from workers.folder import DataFolder, data_folder, open_folder

IDLE = 0.1  # seconds between two looks for a job
SEQUENCE, SWEEP = 0.5, 5.0  # seconds between two checkpoints, and two sweeps
DELIVER = 1.0  # seconds between two looks for events to send
TIDY = 300.0  # seconds between two looks for what may go
PATIENCE = 1.0  # seconds until the database is tried again
READER = "workers.reader"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Station:
    """An installation as a worker has it open, and the event that ends its work."""

    settings: Settings
    folder: DataFolder
    blobs: Blobs
    stop: Event
    reader: str = READER  # the module of the process that reads uploads
    lease: timedelta = LEASE


def draw(station: Station) -> None:
    """Draws until told to stop."""
    from generators.catalog import GENERATORS
    from workers.drawing import Studio, announced, draw_next

    studio = Studio(station.folder, station.blobs, stop=station.stop, lease=station.lease)
    for name in GENERATORS:
        studio.generator(name)
    repeat(station.stop, ANNOUNCE.total_seconds(), lambda: announce(station, announced(studio)))
    work(station, (Kind.GENERATE,), lambda: draw_next(studio))


def check(station: Station) -> None:
    """Reads uploads until told to stop, several at once."""
    from workers.checking import KINDS, check_next, open_desk

    def run() -> None:
        desk = open_desk(station)
        try:
            desk.sandbox.start()
            work(station, KINDS, lambda: check_next(desk))
        finally:
            desk.sandbox.close()

    threads = [Thread(target=run) for _ in range(station.settings.checkers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def keep(station: Station) -> None:
    """Signs checkpoints, sweeps and tells webhooks until told to stop."""
    from workers.delivering import courier, deliver_all
    from workers.keeping import sequence, sweep, tidy

    send = queue.connect(station.settings.broker, station.settings.queues)
    engine, forget_after = station.folder.engine, station.settings.forget
    repeat(station.stop, SWEEP, lambda: sweep(engine, send))
    repeat(station.stop, TIDY, lambda: tidy(engine, station.blobs, forget_after=forget_after))
    repeat(station.stop, SEQUENCE, lambda: sequence(station.folder))
    with courier(station.folder, reach(station.settings)) as own:
        repeat(station.stop, DELIVER, lambda: deliver_all(own))
        station.stop.wait()


ROLES: dict[str, Callable[[Station], None]] = {"draw": draw, "check": check, "keep": keep}


def work(station: Station, kinds: Sequence[Kind], step: Callable[[], int]) -> None:
    """Takes a step whenever a job of these kinds waits, until told to stop."""
    while not station.stop.is_set():
        try:
            with snapshot(station.folder.engine) as session:
                waits = any(jobs.waiting(session, kind) for kind in kinds)
            if not (waits and step()):
                station.stop.wait(IDLE)
        except OperationalError as e:
            _log.warning("the database cannot be reached: %s", e.orig)
            station.stop.wait(PATIENCE)


def repeat(stop: Event, seconds: float, step: Callable[[], object]) -> None:
    """Takes a step now and every so often, beside whatever else is done, whatever comes of it."""

    def run() -> None:
        while True:
            try:
                step()
            except OperationalError as e:
                _log.warning("the database cannot be reached: %s", e.orig)
            except Exception:  # noqa: BLE001 - the outermost frame: a defect ends no later step
                _log.exception("a step failed, it is taken again in %s seconds", seconds)
            if stop.wait(seconds):
                return

    Thread(target=run, daemon=True).start()


def announce(station: Station, found: Sequence[Model]) -> None:
    """Says that this worker has these models."""
    with transaction(station.folder.engine) as session:
        models.announce(session, found, now=datetime.now(UTC))


def open_station(stack: ExitStack, settings: Settings, *, reader: str = READER) -> Station:
    """The installation of these settings, open until the stack ends; SIGTERM ends the work."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    folder = stack.enter_context(open_folder(settings.data, database=settings.database))
    return Station(settings, folder, Blobs(settings.blobs), stop, reader, settings.lease)


def main(arguments: Sequence[str] | None = None, *, reader: str = READER) -> None:
    """Work in one role until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m workers.station", description=__doc__)
    parser.add_argument("role", choices=list(ROLES))
    role = parser.parse_args(arguments).role
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {role} %(message)s")
    settings = read_settings(os.environ, data_folder(os.environ))
    with ExitStack() as stack:
        ROLES[role](open_station(stack, settings, reader=reader))


if __name__ == "__main__":
    main(sys.argv[1:])
