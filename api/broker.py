"""Whether the broker answers, for whoever asks if the service is ready.

It is asked by one request at a time and at most every FRESH seconds; all others are told what was
found last, so that a broker that hangs holds up one thread, however many ask. Before it was asked
it is down.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Literal

from workers import queue

FRESH = 2.0  # seconds that an answer counts
State = Literal["ok", "down", "none"]


class Broker:
    """The broker of an installation; none if its workers look for jobs themselves."""

    def __init__(
        self,
        url: str | None,
        *,
        answers: Callable[[str], bool] = queue.answers,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._answers, self._clock = url, answers, clock
        self._asking, self._asked, self._found = Lock(), float("-inf"), False

    def state(self) -> State:
        """How it is now, or was when it was asked last."""
        if self._url is None:
            return "none"
        if self._asking.acquire(blocking=False):
            try:
                if self._clock() - self._asked >= FRESH:
                    self._found = self._answers(self._url)
                    self._asked = self._clock()
            finally:
                self._asking.release()
        return "ok" if self._found else "down"
