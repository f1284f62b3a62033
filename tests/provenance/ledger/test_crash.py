"""Whatever is killed, whoever else appends: nothing acknowledged is lost, nothing is twice."""

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import sleep

import sqlalchemy as sa

from provenance.database import snapshot
from provenance.ledger.log import Draft, log_size
from provenance.tables import LookupRow
from tests.provenance.ledger.logs import Log, picture

ROOT = Path(__file__).parents[3]
ROUNDS = int(os.environ.get("COUNTERMARK_CRASH_ROUNDS", "5"))
AT_ONCE = 3  # processes that append at once in a round, each killed at a moment of its own


def start(log: Log, prefix: str, *count: str) -> "subprocess.Popen[bytes]":
    url = log.engine.url.render_as_string(hide_password=False)
    program = [sys.executable, "-m", "tests.provenance.ledger.appender"]
    return subprocess.Popen(
        [*program, url, str(log.anchor), prefix, *count], cwd=ROOT, stdout=subprocess.PIPE
    )


def kill_at_random(log: Log, prefix: str, rng: random.Random) -> list[str]:
    """The ids that processes acknowledged which appended at once, each killed in its turn."""
    with ExitStack() as stack:
        names = [f"{prefix}-{one}" for one in range(AT_ONCE)]
        processes = [stack.enter_context(start(log, name)) for name in names]
        written = b""
        for process in processes:
            written += first_line(process)
        for process in processes:  # the later ones go on appending, and take over what was held
            sleep(rng.uniform(0, 0.2))
            process.kill()
        for process in processes:
            assert process.stdout is not None
            written += process.stdout.read()
    return written.decode().splitlines()


def first_line(process: "subprocess.Popen[bytes]") -> bytes:
    """The id that it acknowledged first."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the process ended before it appended anything"
    return line


def check_kept_once(log: Log, acknowledged: list[str]) -> None:
    """Raises AssertionError, or Broken if the log itself does not hold."""
    log.check()
    with snapshot(log.engine) as session:
        found = session.scalars(sa.select(LookupRow.value).where(LookupRow.name == "id")).all()
        assert len(set(found)) == len(found) == log_size(session), "a picture is there twice"
    lost = {name.encode() for name in acknowledged} - set(found)
    assert not lost, f"{min(lost)!r} was lost"


def test_a_killed_process_loses_nothing_it_acknowledged(log: Log) -> None:
    rng = random.Random(4)  # the moments differ anyway: the process is not in step with us
    acknowledged: list[str] = []
    for turn in range(ROUNDS):
        acknowledged += kill_at_random(log, f"round{turn}", rng)
        check_kept_once(log, acknowledged)
    log.append(Draft(picture("after")))
    log.sign()
    check_kept_once(log, [*acknowledged, "after"])
    said = f"{AT_ONCE * ROUNDS} processes killed, {len(acknowledged)} pictures acknowledged"
    print(f"{log.engine.dialect.name}: {said}")  # noqa: T201 - for whoever runs it with -s


def test_processes_that_append_at_once_end_in_one_whole_log(log: Log) -> None:
    processes = [start(log, f"p{i}", "15") for i in range(3)]
    acknowledged = []
    for process in processes:
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        acknowledged += out.decode().splitlines()
    assert len(acknowledged) == 45
    check_kept_once(log, acknowledged)


def test_threads_that_append_at_once_end_in_one_whole_log(log: Log) -> None:
    def run(prefix: str) -> list[str]:
        names = [f"{prefix}-{n}" for n in range(15)]
        for name in names:
            log.append(Draft(picture(name)))
        log.sign()
        return names

    with ThreadPoolExecutor(4) as pool:
        acknowledged = [name for names in pool.map(run, "abcd") for name in names]
    assert len(acknowledged) == 60
    check_kept_once(log, acknowledged)
