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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, Thread

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from provenance import backlog, models, tracing
from provenance.blobs import BadPlace, Store, Unreachable, open_blobs
from provenance.counts import FLUSH, Tally
from provenance.database import Busy, snapshot, transaction
from provenance.jobs import LEASE, Kind
from provenance.models import ANNOUNCE, Model
from provenance.settings import BadSetting, Settings, reach, read_settings
from workers import queue
from workers.folder import DataFolder, NoFolder, data_folder, open_folder

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
    blobs: Store
    stop: Event
    reader: str = READER  # the module of the process that reads uploads
    lease: timedelta = LEASE
    tally: Tally = field(default_factory=Tally)


def draw(station: Station) -> None:
    """Draws until told to stop."""
    from workers.drawing import draw_next
    from workers.studio import announced, open_studio

    studio = open_studio(station)
    repeat(station.stop, ANNOUNCE.total_seconds(), lambda: announce(station, announced(studio)))
    work(station, (Kind.GENERATE,), lambda: draw_next(studio))


def check(station: Station) -> None:
    """Reads uploads until told to stop, several at once."""
    from workers.checking import KINDS, check_next
    from workers.desk import open_desk

    def run() -> None:
        desk = open_desk(station)
        try:
            desk.start()
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
    repeat(station.stop, SWEEP, lambda: sweep(engine, station.tally, send))
    repeat(station.stop, TIDY, lambda: tidy(engine, station.blobs, forget_after=forget_after))
    repeat(station.stop, SEQUENCE, lambda: sequence(station.folder))
    be_witnessed(station)
    with courier(station.folder, reach(station.settings)) as own:
        repeat(station.stop, DELIVER, lambda: deliver_all(own))
        station.stop.wait()


def be_witnessed(station: Station) -> None:
    """Has every witness sign what is signed here, each in a thread: one that is slow is alone."""
    from workers import cosigning

    for one in cosigning.parse_witnesses(station.settings.witnesses):
        repeat(station.stop, cosigning.EVERY, partial(cosigning.ask_again, station.folder, one))


ROLES: dict[str, Callable[[Station], None]] = {"draw": draw, "check": check, "keep": keep}


def work(station: Station, kinds: Sequence[Kind], step: Callable[[], int]) -> None:
    """Takes a step whenever a job of these kinds waits, until told to stop."""
    while not station.stop.is_set():
        try:
            with snapshot(station.folder.engine) as session:
                waits = any(backlog.waiting(session, kind) for kind in kinds)
            if not (waits and step()):
                station.stop.wait(IDLE)
        except Unreachable as e:
            _log.warning("%s", e)
            station.stop.wait(PATIENCE)
        except (OperationalError, Busy) as e:
            _log.warning("the database cannot be reached: %s", _reason(e))
            station.stop.wait(PATIENCE)


def repeat(stop: Event, seconds: float, step: Callable[[], object]) -> None:
    """Takes a step now and every so often, beside whatever else is done, whatever comes of it."""

    def run() -> None:
        while True:
            try:
                step()
            except Unreachable as e:
                _log.warning("%s", e)
            except (OperationalError, Busy) as e:
                _log.warning("the database cannot be reached: %s", _reason(e))
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
    tally = Tally()
    repeat(stop, FLUSH, lambda: tally.flush(folder.engine))
    stack.callback(_flush, tally, folder.engine)
    return Station(
        settings, folder, open_blobs(settings.blobs), stop, reader, settings.lease, tally
    )


def _flush(tally: Tally, engine: Engine) -> None:
    """The last counts of a worker that stops; it stops without them if it must."""
    try:
        tally.flush(engine)
    except (OperationalError, Busy) as e:
        _log.warning("the last counts are lost: %s", _reason(e))


def _reason(error: OperationalError | Busy) -> object:
    """Without the statement, which holds what callers sent."""
    return error.orig if isinstance(error, OperationalError) else error


def main(arguments: Sequence[str] | None = None, *, reader: str = READER) -> None:
    """Work in one role until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m workers.station", description=__doc__)
    parser.add_argument("role", choices=list(ROLES))
    role = parser.parse_args(arguments).role
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {role} %(message)s")
    with ExitStack() as stack, startable(role):
        settings = read_settings(os.environ, data_folder(os.environ))
        tracing.configure(os.environ, role)
        ROLES[role](open_station(stack, settings, reader=reader))


@contextmanager
def startable(role: str) -> Iterator[None]:
    """Around a worker: what it cannot start with is told in one line, and ends it."""
    try:
        yield
    except (BadSetting, BadPlace, NoFolder) as e:
        sys.exit(f"{role}: {e}")


if __name__ == "__main__":
    main(sys.argv[1:])
