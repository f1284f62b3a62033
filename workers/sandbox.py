"""A child process that reads strangers' files, as its parent sees it.

The child is started ahead and asked one thing after another; what it answers is bytes to be parsed,
never code. If it dies or takes too long it is gone with that one question, and the next question
starts another. Frames both ways: the lengths of a JSON text and of a payload, then both.
"""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

QUESTIONS = 500  # to one child: whatever a library leaks goes with it
ENDING = 10.0  # seconds for a dying child to say how it ended
MAX_JSON = 4 << 20  # a manifest store of a mebibyte, in hexadecimal
MAX_PAYLOAD = 128 << 20
_LENGTHS = struct.Struct(">II")

Answer = tuple[dict[str, Any], bytes]


class Died(RuntimeError):
    """The child died over a question, or answered nonsense."""


class TookTooLong(RuntimeError):
    """The child was ended over a question, for it took too long."""


class Sandbox:
    """One child at a time, of this module; `greeting` is what each is told first."""

    def __init__(self, module: str, greeting: dict[str, Any], *, seconds: float) -> None:
        self._command = [sys.executable, "-m", module]
        self._greeting = greeting
        self._seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._asked = 0

    def start(self) -> None:
        """A child that is ready, unless there is one; raises Died."""
        if self._child is not None and self._asked >= QUESTIONS:
            self.close()
        if self._child is None:
            pipe = subprocess.PIPE
            self._child = subprocess.Popen(self._command, stdin=pipe, stdout=pipe)  # noqa: S603
            self._asked = 0
            self._exchange(self._greeting, b"")

    def ask(self, question: dict[str, Any], payload: bytes) -> Answer:
        """What the child answers; raises Died or TookTooLong."""
        self.start()
        self._asked += 1
        return self._exchange(question, payload)

    def close(self) -> None:
        """No child is left behind."""
        if self._child is None:
            return
        child, self._child = self._child, None
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with _quiet():
                    pipe.close()

    def _exchange(self, question: dict[str, Any], payload: bytes) -> Answer:
        child = self._child
        assert child is not None, "a child was started"
        assert child.stdin is not None and child.stdout is not None, "through pipes"  # noqa: PT018
        late = threading.Event()
        timer = threading.Timer(self._seconds, _end, (child, late))
        timer.start()
        try:
            write_frame(child.stdin, question, payload)
            return read_frame(child.stdout)
        except (OSError, EOFError, ValueError) as e:
            code = _ended(child)
            self.close()
            if late.is_set() or code == -signal.SIGXCPU:
                raise TookTooLong("reading it took too long") from e
            raise Died(f"the process that read it ended with {code}") from e
        finally:
            timer.cancel()


def write_frame(pipe: IO[bytes], document: dict[str, Any], payload: bytes) -> None:
    """Sends one question or answer."""
    text = json.dumps(document).encode()
    pipe.write(_LENGTHS.pack(len(text), len(payload)) + text)
    pipe.write(payload)
    pipe.flush()


def read_frame(pipe: IO[bytes]) -> Answer:
    """The next question or answer; raises EOFError at the end, ValueError for what is none."""
    text, payload = _LENGTHS.unpack(_read(pipe, _LENGTHS.size))
    if text > MAX_JSON or payload > MAX_PAYLOAD:
        raise ValueError("a frame longer than any that is sent")
    document = json.loads(_read(pipe, text))
    if not isinstance(document, dict):
        raise ValueError("a frame that is no object")
    return document, _read(pipe, payload)


def _read(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _ended(child: subprocess.Popen[bytes]) -> int:
    """The status of a child that is ending, or is ended now."""
    try:
        return child.wait(ENDING)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _end(child: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    child.kill()


@contextmanager
def _quiet() -> Iterator[None]:
    """Around closing a pipe whose reader is gone: what was not sent is of no use."""
    try:
        yield
    except OSError:
        return
