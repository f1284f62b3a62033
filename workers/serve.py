"""One installation on one machine: the server and its workers as children of one process.

A child that ends is started again, later each time if it keeps ending; if this process ends, so do
they. Nothing is lost by any of it: what was accepted is a row, and a row is worked on until it has
ended.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from threading import Event
from time import monotonic

LOOK = 0.2  # seconds between two looks at the children
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0  # seconds before a child is started again
SOUND = 30.0  # seconds that a child must live for the next wait to be short again
GRACE = 20.0  # seconds for children to stop by themselves
STATION = "workers.station"
_DEATH_SIGNAL = 1  # prctl(2)
_log = logging.getLogger(__name__)


class Child:
    """A program that is kept running."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._command, self._environment = command, environment
        self._process: subprocess.Popen[bytes] | None = None
        self._wait, self._due, self._born = FIRST_WAIT, 0.0, 0.0

    def tend(self) -> None:
        """Starts the program if it does not run and it is time to."""
        if self._process is not None and (code := self._process.poll()) is not None:
            lived = monotonic() - self._born
            self._wait = FIRST_WAIT if lived > SOUND else min(2 * self._wait, LONGEST_WAIT)
            self._due, self._process = monotonic() + self._wait, None
            _log.warning("%s ended with %s, starts again in %.1f s", self.name, code, self._wait)
        if self._process is None and monotonic() >= self._due:
            self._born = monotonic()
            self._process = subprocess.Popen(  # noqa: S603 - a program of ours
                self._command,
                env=dict(self._environment),
                preexec_fn=partial(_end_with, os.getpid()),
            )

    def stop(self) -> None:
        """Asks the program to stop."""
        if self._process is not None:
            self._process.terminate()

    def end(self, seconds: float) -> None:
        """The program has stopped, by itself or not."""
        if self._process is None:
            return
        try:
            self._process.wait(max(seconds, 0))
        except subprocess.TimeoutExpired:
            _log.warning("%s did not stop by itself", self.name)
            self._process.kill()
            self._process.wait()


def tend(children: Sequence[Child], stop: Event) -> None:
    """Keeps the children running until told to stop, then stops them all."""
    try:
        while not stop.wait(LOOK):
            for child in children:
                child.tend()
    finally:
        deadline = monotonic() + GRACE
        for child in children:
            child.stop()
        for child in children:
            child.end(deadline - monotonic())


def serve(host: str, port: int, environment: Mapping[str, str], *, station: str = STATION) -> None:
    """The server and its workers, of this module, until SIGTERM or SIGINT."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    programs = {
        "server": ["api", "--host", host, "--port", str(port)],
        "keep": [station, "keep"],
        "check": [station, "check"],
        "draw": [station, "draw"],
    }
    children = [
        Child(name, [sys.executable, "-m", *program], environment)
        for name, program in programs.items()
    ]
    tend(children, stop)


def _end_with(parent: int) -> None:
    """Runs in the new child: it is told to stop when its parent dies, however that happens."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died already; in a container the parent may be process 1
        os.kill(os.getpid(), signal.SIGTERM)
