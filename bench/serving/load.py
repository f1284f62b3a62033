"""How much the service does at once: checks, reads of records, drawings, with 1 to 64 clients.

Closed loops: each client keeps one connection, asks, waits for the answer, and asks again. The
clients are threads of one process on the same machine, so they take part of what is measured.
Latencies are what a client sees; a request that fails ends the measurement. Drawing is compared
with the same marked drawings made without a service, just before.
"""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count

from bench.marks.drawings import bench_key
from bench.marks.page import Table
from bench.serving.kills import lift_quotas
from bench.serving.running import Running
from generators.catalog import load_generator
from generators.sampling import Request
from workers.generate import BATCH, How, attempt, unerased
from workers.marking import Kind, Marker

MODEL = "icons-128"
CLIENTS = (1, 2, 4, 8, 16, 32, 64)
PATIENCE = 120.0  # seconds for one answer; more than a request may wait
LOOK = 0.5  # seconds between two looks at a job
KINDS = ("check", "read", "draw")
HEADER = ("clients", "a second", "p50 ms", "p99 ms")
WAITING = {"Prefer": "wait=60"}
PICTURE = {"Content-Type": "application/octet-stream", **WAITING}
WISH = {"Content-Type": "application/json", **WAITING}


class Caller:
    """One client with a connection of its own."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._token = token

    def close(self) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """The body of the answer; raises RuntimeError unless it is 200, or 202."""
        authorized = {"Authorization": f"Bearer {self._token}", **headers}
        self._connection.request(method, path, body, authorized)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status not in (200, 202):
            raise RuntimeError(f"{method} {path}: {answer.status} {said[:300]!r}")
        return said


Ask = Callable[[Caller], object]


def direct(rounds: int = 3) -> float:
    """Marked drawings a second without a service, in full batches; the best of some rounds."""
    generator = load_generator(MODEL)
    marker, how = (
        Marker(MODEL, generator.spec, generator.codec),
        How(Kind.TRADE, bench_key(), unerased),
    )
    rates = []
    for first in range(0, (rounds + 1) * BATCH, BATCH):
        wishes = [Request(_prompt(number), number) for number in range(first, first + BATCH)]
        start = time.monotonic()
        attempt(generator, marker, wishes, how)
        rates.append(BATCH / (time.monotonic() - start))
    return max(rates[1:])


def tables(
    name: str,
    running: Running,
    uploads: Sequence[bytes],
    *,
    seconds: float,
    alone: float,
    kinds: Sequence[str] = KINDS,
) -> Iterator[Table]:
    """The three tables of an installation; `alone` is how fast drawing is without it."""
    lift_quotas(running)
    numbers = count()

    def check(caller: Caller) -> None:
        data = uploads[next(numbers) % len(uploads)]
        caller.ask("POST", "/v1/verifications?search=quick", data, PICTURE)

    def draw(caller: Caller) -> None:
        number = next(numbers)
        wish = {"model": MODEL, "prompt": _prompt(number), "seed": number}
        job = json.loads(caller.ask("POST", "/v1/generations", json.dumps(wish).encode(), WISH))
        while job["state"] in ("queued", "running"):  # many clients wait longer than one may
            time.sleep(LOOK)
            job = json.loads(caller.ask("GET", f"/v1/generations/{job['id']}", b"", {}))
        if job["state"] != "done":
            raise RuntimeError(f"a drawing ended as {job['state']}: {job['fault']}")

    def read(caller: Caller) -> None:
        caller.ask("GET", "/v1/records/0", b"", {})

    with closing(_caller(running)) as first:
        draw(first)  # so that there is a record to read
    said = f"{name}, {seconds:g} s a point."
    asked: dict[str, Ask] = {"check": check, "read": read, "draw": draw}
    for what in kinds:
        rows = tuple(_point(running, clients, asked[what], seconds) for clients in CLIENTS)
        beside: tuple[str, ...] = ()
        if what == "draw":
            best = max(float(row[1]) for row in rows) / alone
            beside = (
                f"Without a service, in batches of {BATCH}: {alone:.2f} a second; {best:.0%}.",
            )
        yield Table(f"load-{name}-{what}", HEADER, rows, (said, *beside))


def _prompt(number: int) -> str:
    return f"a red apple, {number}"


def _caller(running: Running) -> Caller:
    return Caller(running.port, running.client.token)


def _point(running: Running, clients: int, ask: Ask, seconds: float) -> tuple[str, ...]:
    """One row: how many answers a second, and how long they took."""
    end, latencies, lock = time.monotonic() + seconds, list[float](), threading.Lock()

    def loop(_: int) -> None:
        with closing(_caller(running)) as caller:
            while (start := time.monotonic()) < end:
                ask(caller)
                with lock:
                    latencies.append(time.monotonic() - start)

    begun = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(loop, range(clients)))
    spent = time.monotonic() - begun
    p50, p99 = _quantile(latencies, 0.50), _quantile(latencies, 0.99)
    return str(clients), f"{len(latencies) / spent:.2f}", f"{1e3 * p50:.0f}", f"{1e3 * p99:.0f}"


def _quantile(values: Sequence[float], share: float) -> float:
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=1000, method="inclusive")[int(share * 1000) - 1]
