"""How much the service does at once: checks, reads of records, drawings, with 1 to 64 clients.

Closed loops: each client asks, waits for the answer, and asks again. Latencies are what a client
sees, connection and all; a request that fails ends the measurement.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from bench.marks.page import Table
from bench.serving.kills import lift_quotas
from bench.serving.running import Running

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
WAIT = "wait=60"
HEADER = ("clients", "a second", "p50 ms", "p99 ms")

Ask = Callable[[int], None]


def tables(
    name: str, running: Running, uploads: Sequence[bytes], *, seconds: float
) -> Iterator[Table]:
    """The three tables of an installation."""
    lift_quotas(running)
    client, numbers = running.client, count()

    def check(_: int) -> None:
        data = uploads[next(numbers) % len(uploads)]
        _done(client.once("POST", "/v1/verifications?search=quick", data, _HEADERS))

    def draw(_: int) -> None:
        number = next(numbers)
        wish = {"model": "icons-128", "prompt": f"a red apple, {number}", "seed": number}
        headers = {"Content-Type": "application/json", "Prefer": WAIT}
        _done(client.once("POST", "/v1/generations", json.dumps(wish).encode(), headers))

    draw(0)  # so that there is a record to read
    read = _reader(running)
    for what, ask in (("check", check), ("read", read), ("draw", draw)):
        rows = tuple(_point(clients, ask, seconds) for clients in CLIENTS)
        said = (f"{name}, {seconds:g} s a point.",)
        yield Table(f"load-{name}-{what}", HEADER, rows, said)


_HEADERS = {"Content-Type": "application/octet-stream", "Prefer": WAIT}


def _reader(running: Running) -> Ask:
    deadline = time.monotonic() + 30
    while running.client.once("GET", "/v1/records/0")[0] != 200:
        if time.monotonic() > deadline:
            raise TimeoutError("no record to read")
        time.sleep(0.1)
    return lambda _: _done(running.client.once("GET", "/v1/records/0"))


def _done(answer: tuple[int, bytes]) -> None:
    status, body = answer
    if status != 200:
        raise RuntimeError(f"{status}: {body[:300]!r}")


def _point(clients: int, ask: Ask, seconds: float) -> tuple[str, ...]:
    """One row: how many answers a second, and how long they took."""
    end, latencies, lock = time.monotonic() + seconds, list[float](), threading.Lock()

    def loop(number: int) -> None:
        while (start := time.monotonic()) < end:
            ask(number)
            with lock:
                latencies.append(time.monotonic() - start)

    begun = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(loop, range(clients)))
    spent = time.monotonic() - begun
    p50, p99 = _quantile(latencies, 0.50), _quantile(latencies, 0.99)
    return str(clients), f"{len(latencies) / spent:.1f}", f"{1e3 * p50:.0f}", f"{1e3 * p99:.0f}"


def _quantile(values: Sequence[float], share: float) -> float:
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=1000, method="inclusive")[int(share * 1000) - 1]
