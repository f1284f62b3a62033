"""A service of processes of their own, for the benches: on one machine, or deployed.

Deployed, its commands are those of docker-compose.yml, and it reaches PostgreSQL and the broker
through proxies, so that both can be lost without being stopped.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa
from celery import Celery
from sqlalchemy.engine import make_url

from bench.serving.clients import Client
from bench.serving.composed import module_commands
from bench.serving.proxy import Proxy
from provenance.callers import Scope
from workers import queue
from workers.access import issue
from workers.deployed import KEEPING
from workers.folder import TENANT, make, open_folder

STARTING = 600.0  # seconds until the service must be ready; models are loaded meanwhile
STOPPING = 60.0
POSTGRES = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
BROKER = "amqp://guest:guest@127.0.0.1:5672//"


class NotReady(RuntimeError):
    """The service did not come up."""


@dataclass(frozen=True)
class Programs:
    """The modules that are run: the service's own, or those of a toy."""

    serve: Sequence[str] = ("workers.command", "serve")
    deployed: str = "workers.deployed"
    model: str = "icons-128"


class Running:
    """A service, and the means to hurt it."""

    def __init__(self, folder: Path, environment: dict[str, str], port: int, token: str) -> None:
        self.folder, self.environment, self.port = folder, environment, port
        self.client = Client(port, token)
        self.proxies: list[Proxy] = []
        self.started = 0.0  # seconds that it took to be ready
        self._programs: dict[str, list[str]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *program: str) -> None:
        """Starts a program of this name, `python -m` ..."""
        self._programs[name] = [sys.executable, "-m", *program]
        self._revive(name)

    def tend(self) -> None:
        """Starts every program again that has ended."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                self._revive(name)

    def victims(self) -> list[int]:
        """The processes of the service, and their children."""
        return [one for p in self._processes.values() for one in (p.pid, *descendants(p.pid))]

    def wait_until_ready(self) -> None:
        """Returns once /ready says so; raises NotReady."""
        begun = time.monotonic()
        deadline = begun + STARTING
        answer: tuple[int, bytes] = (0, b"")
        while time.monotonic() < deadline:
            with suppress(OSError):
                answer = self.client.once("GET", "/ready")
            if answer[0] == 200:
                self.started = time.monotonic() - begun
                return
            time.sleep(0.5)
        raise NotReady(f"/ready answered {answer}")

    def stop(self) -> None:
        """Every program is told to stop, and has."""
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self._processes.items():
            try:
                process.wait(STOPPING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise NotReady(f"{name} did not stop when it was told to") from None

    def _revive(self, name: str) -> None:
        program = self._programs[name]
        self._processes[name] = subprocess.Popen(program, env=self.environment)  # noqa: S603


def descendants(pid: int) -> list[int]:
    """The children of a process and theirs, as far as they live."""
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [one for child in map(int, children) for one in (child, *descendants(child))]
    return []


@contextmanager
def embedded(folder: Path, programs: Programs) -> Iterator[Running]:
    """`countermark serve` on a new data folder, ready."""
    make(folder, now=datetime.now(UTC))
    port = free_port()
    running = Running(folder, _environment(folder), port, _key(folder))
    running.start("serve", *programs.serve, "--port", str(port))
    with _stopped(running):
        yield running


@contextmanager
def deployed(folder: Path, programs: Programs) -> Iterator[Running]:
    """The processes of docker-compose.yml, with a database and a broker's host of their own."""
    with ExitStack() as stack:
        database = stack.enter_context(_database())
        broker = make_url(BROKER)
        postgres = stack.enter_context(Proxy(make_url(POSTGRES).port or 5432))
        rabbit = stack.enter_context(Proxy(broker.port or 5672))
        commands, port = module_commands(), free_port()
        through = make_url(database).set(port=postgres.port)
        environment = _environment(folder) | {
            "COUNTERMARK_DATABASE": through.render_as_string(hide_password=False),
            "COUNTERMARK_BROKER": f"amqp://guest:guest@127.0.0.1:{rabbit.port}//",
            "COUNTERMARK_QUEUES": stack.enter_context(_queues()),
        }
        migrate = [sys.executable, "-m", *commands.pop("migrate")]
        direct = environment | {"COUNTERMARK_DATABASE": database}
        for _ in range(2):  # as it is run at every start
            subprocess.run(migrate, env=direct, check=True, timeout=STARTING)  # noqa: S603
        running = Running(folder, environment, port, _key(folder))
        running.proxies += [postgres, rabbit]
        for name, command in commands.items():
            running.start(name, *_local(command, port, programs))
        with _stopped(running):
            yield running


@contextmanager
def _stopped(running: Running) -> Iterator[None]:
    try:
        running.wait_until_ready()
        yield
    finally:
        for proxy in running.proxies:
            proxy.mend()
        running.stop()


@contextmanager
def _database() -> Iterator[str]:
    """The URL of a new database, gone afterwards."""
    name = f"countermark_bench_{uuid4().hex}"
    admin = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()


@contextmanager
def _queues() -> Iterator[str]:
    """A name for queues that nobody else uses, gone afterwards."""
    name = f"countermark-bench-{uuid4().hex}"
    try:
        yield name
    finally:
        with Celery(broker=BROKER).connection() as connection, connection.channel() as channel:
            for one in (*queue.QUEUES.values(), KEEPING):
                channel.queue_delete(f"{name}.{one}")


def _local(command: Sequence[str], port: int, programs: Programs) -> list[str]:
    """A command of the compose file, for this port and these programs."""
    named = {"workers.deployed": programs.deployed, "8000": str(port), "0.0.0.0": "127.0.0.1"}  # noqa: S104
    return [named.get(part, part) for part in command]


def _key(folder: Path) -> str:
    """A new API key of every scope."""
    with open_folder(folder) as opened:
        return issue(opened, TENANT, Scope, name="bench", now=datetime.now(UTC)).token


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "COUNTERMARK" not in name}
    own = {"COUNTERMARK_DATA": str(folder), "COUNTERMARK_LEASE": "5"}
    return kept | own | {"COUNTERMARK_PRIVATE_ADDRESSES": "yes"}  # webhooks go to this machine


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
