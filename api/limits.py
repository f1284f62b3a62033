"""How often a caller may ask: one bucket a caller and kind of work, in the memory of this process.

Several API processes each allow the whole rate. What must hold across processes and restarts, the
quota of jobs a day and the budget against probing, is counted from the jobs in the database.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

MAX_CALLERS = 100_000  # remembered at a time; whoever asked longest ago is forgotten first


@dataclass(frozen=True)
class Rate:
    """So many requests in so many seconds, at once or spread over them."""

    name: str
    count: int
    seconds: int


@dataclass(frozen=True)
class Allowance:
    """What is left of a rate; `wait` is 0 if the request is allowed, else seconds until one is."""

    rate: Rate
    remaining: int
    reset: int  # seconds until all of it is there again
    wait: int

    @property
    def headers(self) -> dict[str, str]:
        """The RateLimit fields of the IETF's draft, and Retry-After where it is needed."""
        named = f'"{self.rate.name}"'
        sent = {
            "RateLimit-Policy": f"{named};q={self.rate.count};w={self.rate.seconds}",
            "RateLimit": f"{named};r={self.remaining};t={self.reset}",
        }
        return sent | ({"Retry-After": str(self.wait)} if self.wait else {})


class Buckets:
    """When each caller's bucket is full again (the generic cell rate algorithm)."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = Lock()

    def take(self, caller: str, rate: Rate, *, now: float) -> Allowance:
        """One request of a caller at `now`, in seconds of a clock that never goes back."""
        each = rate.seconds / rate.count
        key = (rate.name, caller)
        with self._lock:
            full_at = max(now, self._full_at.get(key, now)) + each
            over = full_at - now - rate.seconds
            if over > 1e-9:
                reset = math.ceil(full_at - each - now)
                return Allowance(rate, 0, reset, math.ceil(over))
            self._full_at[key] = full_at
            self._full_at.move_to_end(key)
            while len(self._full_at) > MAX_CALLERS:
                self._full_at.popitem(last=False)
        left = math.floor((rate.seconds - (full_at - now)) / each + 1e-9)
        return Allowance(rate, left, math.ceil(full_at - now), 0)
