"""Children of `serve` are kept running, later each time, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import pytest

from workers import serve
from workers.serve import Child, tend

PATIENCE = 30.0


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def noting(file: Path, then: str) -> list[str]:
    """A program that adds its process id to a file."""
    note = f"import os, sys, time; open({str(file)!r}, 'a').write(f'{{os.getpid()}}\\n'); {then}"
    return [sys.executable, "-c", note]


def noted(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(serve, "LOOK", 0.01)


def test_a_child_that_ends_is_started_again(tmp_path: Path) -> None:
    file, stop = tmp_path / "pids", Event()
    child = Child("it", noting(file, "sys.exit(3)"), os.environ)
    thread = Thread(target=tend, args=([child], stop))
    thread.start()
    try:
        until(lambda: len(noted(file)) >= 3)
    finally:
        stop.set()
        thread.join()
    assert len(set(noted(file))) == len(noted(file))


def test_all_children_have_ended_when_it_stops(tmp_path: Path) -> None:
    files, stop = [tmp_path / name for name in ("a", "b")], Event()
    children = [Child(file.name, noting(file, "time.sleep(600)"), os.environ) for file in files]
    thread = Thread(target=tend, args=(children, stop))
    thread.start()
    until(lambda: all(noted(file) for file in files))
    pids = [pid for file in files for pid in noted(file)]
    assert all(lives(pid) for pid in pids)
    stop.set()
    thread.join()
    assert not any(lives(pid) for pid in pids)


def test_a_child_that_ignores_the_request_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "GRACE", 0.2)
    file, stop = tmp_path / "pid", Event()
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    program = noting(file, "time.sleep(600)")
    program[-1] = f"{deaf}; {program[-1]}"
    thread = Thread(target=tend, args=([Child("deaf", program, os.environ)], stop))
    thread.start()
    until(lambda: bool(noted(file)))
    stop.set()
    thread.join()
    assert not lives(noted(file)[0])


def test_a_child_that_was_born_too_late_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only if its parent is gone, which process 1 of a container is not."""
    signals: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: signals.append(number))
    monkeypatch.setattr("ctypes.CDLL", lambda _: SimpleNamespace(prctl=lambda *_: 0))
    monkeypatch.setattr(os, "getppid", lambda: 1)
    serve._end_with(1)
    assert signals == []
    serve._end_with(4711)
    assert signals == [signal.SIGTERM]
