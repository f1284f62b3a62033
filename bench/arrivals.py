"""`make bench-speed`, second part: requests that do not come together.

Eight unlike requests come one after another, and are drawn by the model of the first part in three
ways: each joins those under way; each waits for the batch before to end, and all that wait are the
next batch; or `transformers` generates one after the other. Requests come by the clock, the same
for every way. The clock is the time that the one thread computed, with gaps when nobody was there:
what else runs on the machine counts little. Every way is tried in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import torch

from bench.icons import machine
from bench.speed import BATCH, SIZE, prepared, requests, theirs
from generators.drawing import Drawing
from generators.gpt import CONFIGS
from generators.sampling import Unerased, Unmarked, draw

GAP = 1.0  # seconds from one to the next: some 32 steps of one request as halves
TOKENS = CONFIGS[SIZE].side ** 2


class Arrivals:
    """Requests that come one after another from when this is made, and when each was finished."""

    def __init__(self, gap: float) -> None:
        self._start, self._gap = time.process_time(), gap
        self._idle, self._taken = 0.0, 0
        self.ended = [0.0] * BATCH

    def _now(self) -> float:
        return time.process_time() - self._start + self._idle

    def take(self, *, most: int, wait: bool) -> list[int]:
        """Those that came and were not taken; who waits lets time pass until there is one."""
        if wait and self.left:
            self._idle += max(0.0, self._taken * self._gap - self._now())
        came = min(BATCH, 1 + int(self._now() / self._gap), self._taken + most)
        numbers = list(range(self._taken, came))
        self._taken = came
        return numbers

    @property
    def left(self) -> int:
        """How many were not taken."""
        return BATCH - self._taken

    def finish(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.ended[number] = self._now()

    @property
    def waited(self) -> list[float]:
        """Seconds of each from when it came until it was finished."""
        return [end - number * self._gap for number, end in enumerate(self.ended)]


def joining(weights: str) -> Callable[[Arrivals], None]:
    model, codec = prepared(weights)
    wishes = requests(BATCH, unlike=True)

    def run(arrivals: Arrivals) -> None:
        drawing = Drawing(model, codec, rows=2 * BATCH)
        while arrivals.left or drawing.going:
            numbers = arrivals.take(most=BATCH, wait=not drawing.going)
            if numbers:
                some = [wishes[number] for number in numbers]
                bare, none = [Unmarked()] * len(some), [Unerased()] * len(some)
                drawing.join(some, erasures=none, watermarks=bare)
            arrivals.finish([number for number, _ in drawing.step()])

    return run


def batches(weights: str) -> Callable[[Arrivals], None]:
    model, codec = prepared(weights)
    wishes = requests(BATCH, unlike=True)

    def run(arrivals: Arrivals) -> None:
        while numbers := arrivals.take(most=BATCH, wait=True):
            some = [wishes[number] for number in numbers]
            bare, none = [Unmarked()] * len(some), [Unerased()] * len(some)
            draw(model, codec, some, erasures=none, watermarks=bare)
            arrivals.finish(numbers)

    return run


def singly(_: str) -> Callable[[Arrivals], None]:
    once = theirs(1, TOKENS, unlike=False)

    def run(arrivals: Arrivals) -> None:
        while numbers := arrivals.take(most=1, wait=True):
            once()
            arrivals.finish(numbers)

    return run


WAYS: dict[str, Callable[[str], Callable[[Arrivals], None]]] = {
    "join those under way": joining,
    "wait for the batch before": batches,
    "`transformers`, one after another": singly,
}
ROWS = (
    ("half", "wait for the batch before"),
    ("half", "join those under way"),
    ("two halves", "wait for the batch before"),
    ("two halves", "join those under way"),
    ("single", "wait for the batch before"),
    ("single", "join those under way"),
    ("single", "`transformers`, one after another"),
)


@dataclass(frozen=True)
class Measured:
    """Seconds from when each request came until it was finished, and from the first to the last."""

    weights: str
    way: str
    waited: list[float]
    total: float

    @property
    def line(self) -> str:
        """A row of the table."""
        rate, mean = BATCH * TOKENS / self.total, sum(self.waited) / BATCH
        return (
            f"| {self.weights} | {self.way} | {rate:.0f} | {mean:.1f} "
            f"| {self.waited[0]:.1f} | {max(self.waited):.1f} | {self.total:.1f} |"
        )


def measure(number: int, gap: float) -> None:
    """Tries one way here, and prints what it took as JSON."""
    torch.set_num_threads(1)
    weights, way = ROWS[number]
    run = WAYS[way](weights)
    arrivals = Arrivals(gap)
    run(arrivals)
    print(json.dumps({"waited": arrivals.waited, "total": max(arrivals.ended)}))


def started(number: int, gap: float) -> Measured:
    """One way in a process of its own."""
    command = [sys.executable, "-m", "bench.arrivals", "--row", str(number), "--gap", str(gap)]
    theirs_alone = {"MKL_CBWR": "AUTO"} if WAYS[ROWS[number][1]] is singly else {}
    done = subprocess.run(  # noqa: S603
        command, check=True, capture_output=True, text=True, env={**os.environ, **theirs_alone}
    )
    return Measured(*ROWS[number], **json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Try every way in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", type=int, metavar="N", help="this row alone, in this process")
    parser.add_argument("--gap", type=float, default=GAP, metavar="S", help="seconds between two")
    options = parser.parse_args()
    if options.row is not None:
        measure(options.row, options.gap)
        return
    torch.set_num_threads(1)
    print(f"{machine()}; {datetime.now(UTC):%Y-%m-%d %H:%M}")
    print(f"load average before: {os.getloadavg()[0]:.1f}", flush=True)
    print("| weights | a request would | tokens/s | mean s | first | longest | all |")
    print("|---|---|---|---|---|---|---|")
    for number in range(len(ROWS)):
        print(started(number, options.gap).line, flush=True)
    print(f"load average after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
