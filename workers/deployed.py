"""`python -m workers.deployed draw|check|keep`: a worker that a broker tells of jobs (Celery 5).

Messages are JSON and hold an id, which is not even needed: whatever is told of, the job that waits
longest is taken, as it is without a broker. A message that comes twice, late or never does no harm.
Each process does one thing at a time; more of them, on more machines, do more.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from celery import Celery
from sqlalchemy.exc import OperationalError

from provenance import tracing
from provenance.blobs import Unreachable
from provenance.models import ANNOUNCE
from provenance.settings import BadSetting, reach, read_settings
from workers import queue
from workers.folder import data_folder
from workers.station import (
    DELIVER,
    READER,
    SEQUENCE,
    SWEEP,
    TIDY,
    Station,
    announce,
    be_witnessed,
    open_station,
    repeat,
    startable,
)

KEEPING = "keeping"
QUEUES = {"draw": queue.QUEUES["generate"], "check": queue.QUEUES["verify"], "keep": KEEPING}
_log = logging.getLogger(__name__)

Step = Callable[[], object]


def draw(station: Station, stack: ExitStack) -> dict[str, Step]:
    """The task of drawing, its generators in memory."""
    from workers.drawing import draw_next
    from workers.studio import announced, open_studio

    studio = open_studio(station)
    repeat(station.stop, ANNOUNCE.total_seconds(), lambda: announce(station, announced(studio)))
    return {"generate": lambda: draw_next(studio)}


def check(station: Station, stack: ExitStack) -> dict[str, Step]:
    """The tasks about uploads, the child that reads them started."""
    from workers.checking import KINDS, check_next
    from workers.desk import open_desk

    desk = open_desk(station)
    stack.callback(desk.sandbox.close)
    desk.start()
    return {kind.value: lambda: check_next(desk) for kind in KINDS}


def keep(station: Station, stack: ExitStack) -> dict[str, Step]:
    """The tasks that the clock asks for; webhooks are told beside them, for they may be slow."""
    from workers.delivering import courier, deliver_all
    from workers.keeping import sequence, sweep, tidy

    send = queue.connect(station.settings.broker, station.settings.queues)
    engine = station.folder.engine
    own = stack.enter_context(courier(station.folder, reach(station.settings)))
    repeat(station.stop, DELIVER, lambda: deliver_all(own))
    be_witnessed(station)
    return {
        "sequence": lambda: sequence(station.folder),
        "sweep": lambda: sweep(engine, station.tally, send),
        "tidy": lambda: tidy(engine, station.blobs, forget_after=station.settings.forget),
    }


ROLES = {"draw": draw, "check": check, "keep": keep}


def create_app(broker: str, queues: str, role: str, steps: dict[str, Step]) -> Celery:
    """A Celery application with these steps as its tasks; its queues begin with `queues`."""
    app = Celery("countermark", broker=broker)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_heartbeat=0,  # one thread draws for minutes and answers no heartbeat meanwhile
        beat_scheduler="celery.beat:Scheduler",  # in memory: intervals need no file
    )
    if role == "keep":
        seconds = {"sequence": SEQUENCE, "sweep": SWEEP, "tidy": TIDY}
        app.conf.beat_schedule = {
            name: {
                "task": f"countermark.{name}",
                "schedule": seconds[name],
                "options": {"queue": f"{queues}.{KEEPING}", "expires": 10 * seconds[name]},
            }
            for name in steps
        }
    for name, step in steps.items():
        app.task(_told(step), name=f"countermark.{name}")
    return app


def _told(step: Step) -> Callable[..., None]:
    def run(job: str | None = None) -> None:
        try:
            step()
        except Unreachable as e:
            _log.warning("%s; the sweep comes back to it", e)
        except OperationalError as e:
            _log.warning("the database cannot be reached, the sweep comes back to it: %s", e.orig)

    return run


def main(arguments: Sequence[str] | None = None, *, reader: str = READER) -> None:
    """Work in one role until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m workers.deployed", description=__doc__)
    parser.add_argument("role", choices=list(ROLES))
    role = parser.parse_args(arguments).role
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {role} %(message)s")
    with ExitStack() as stack, startable(role):
        settings = read_settings(os.environ, data_folder(os.environ))
        if settings.broker is None:
            raise BadSetting("COUNTERMARK_BROKER names no broker: `countermark serve` needs none")
        tracing.configure(os.environ, role)
        station = open_station(stack, settings, reader=reader)
        app = create_app(settings.broker, settings.queues, role, ROLES[role](station, stack))
        name = f"{role}-{os.getpid()}@{socket.gethostname()}"
        options = [
            "--pool=solo",
            f"--queues={settings.queues}.{QUEUES[role]}",
            f"--hostname={name}",
        ]
        options += ["--without-gossip", "--without-mingle", "--loglevel=INFO"]
        app.worker_main(["worker", *options, *(["--beat"] if role == "keep" else [])])


if __name__ == "__main__":
    main(sys.argv[1:])
