"""Telling the workers that there is work: a name and an id, nothing else.

The rows are the truth. Without a broker nothing is sent, since the workers beside the server look
for themselves; with one, a message that cannot be sent now is sent by the sweep later, so `send`
never fails a request that is committed already.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

Send = Callable[[str, str], None]
"""Tells of a job: its kind, its id."""

QUEUES = {"generate": "drawing", "verify": "checking", "mark": "checking"}
"""The queue of each kind of job; drawing is for machines with a GPU."""

SECONDS = 2.0  # a broker that takes longer to answer is down
_log = logging.getLogger(__name__)


def connect(broker: str | None, queues: str) -> Send:
    """What sends jobs to a broker; to none, what does nothing. Nothing is connected yet.

    The names of the queues begin with `queues`, so that installations can share a broker.
    """
    return _nothing if broker is None else _publisher(broker, queues)


def answers(broker: str) -> bool:
    """Whether a broker takes a new connection, within about SECONDS."""
    from celery import Celery
    from kombu.exceptions import OperationalError

    app = Celery("countermark", broker=broker, set_as_current=False)
    try:
        with app.connection_for_write(connect_timeout=SECONDS) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=SECONDS)
    except OperationalError as e:
        _log.warning("the broker cannot be reached: %s", e)
        return False
    return True


def _nothing(kind: str, job: str) -> None:
    """The workers beside the server look for jobs themselves."""


def _publisher(broker: str, queues: str) -> Send:
    # Here, so that a server without a broker need not load them.
    from celery import Celery
    from kombu.exceptions import OperationalError

    app = Celery("countermark", broker=broker, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_publish_retry=False,
        broker_connection_timeout=SECONDS,
        broker_transport_options={"confirm_publish": True},
    )

    def send(kind: str, job: str) -> None:
        try:
            app.send_task(f"countermark.{kind}", args=[job], queue=f"{queues}.{QUEUES[kind]}")
        except OperationalError as e:
            _log.warning("job %s stays for the sweep, the broker cannot be reached: %s", job, e)

    return send
