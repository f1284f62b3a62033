"""What an operator may set, read once where a process of the service begins.

Every variable starts with COUNTERMARK_; one that is not known here is an error, since a misspelt
setting would be silently without effect. No secret has a default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path

from sqlalchemy import URL

from provenance.errors import ProvenanceError
from provenance.outbound import Reach

PREFIX = "COUNTERMARK_"
# For the test-suite alone, and never read here.
TESTS = ("COUNTERMARK_TEST_", "COUNTERMARK_CRASH_ROUNDS", "COUNTERMARK_MUTATIONS")
DATABASE = "countermark.db"
ELSEWHERE = "database"  # a file of the data folder that names another database by its URL
BLOBS = "blobs"
CENTURY = 100 * 365 * 24  # hours
STEPS = ("plain", "compile", "graphs")
_YES, _NO = "yes", "no"
_DEVICE = re.compile(r"cpu|mps|cuda(:[0-9]{1,3})?")


class BadSetting(ProvenanceError):
    """A variable that is not known, or whose value makes no sense."""


@dataclass(frozen=True)
class Settings:
    """The settings of one installation.

    `broker` None means embedded: no broker, and the workers beside the server look for jobs
    themselves. Anonymous callers are checked against the marks and records of `public_tenant`.
    """

    data: Path  # keys, certificates, anchor; and the database and blobs, unless named
    database: str  # URL
    blobs: str  # a folder, or s3://BUCKET/PREFIX
    broker: str | None  # URL, amqp://
    queues: str  # what the names of this installation's queues begin with
    public_url: str  # how callers reach the service: in links, and in the well-known document
    public_tenant: str
    anonymous: bool  # whether callers without a key may verify
    fetch: bool  # whether files are fetched from addresses that callers name
    upload_bytes: int  # at most, a file
    lease: timedelta  # after which a worker that does not say that it lives has lost its jobs
    checkers: int  # uploads read at once by one worker, each by a process of its own
    forget: timedelta  # after the end of a job, until what it was given is deleted
    private_addresses: bool  # whether webhooks may use http and addresses that are not public
    device: str  # where pictures are drawn: cpu, cuda, cuda:N or mps
    steps: str  # how LlamaGen's steps are taken: plain, compile or graphs
    witnesses: str  # VKEY URL VKEY URL …: who is asked to sign that the log only grew


def reach(settings: Settings) -> Reach:
    """How far requests to addresses that callers name may go."""
    return Reach.ANYWHERE if settings.private_addresses else Reach.PUBLIC


def read_settings(environment: Mapping[str, str], data: Path) -> Settings:
    """The settings of an environment; raises BadSetting. `data` is where the data folder is."""
    known = {PREFIX + field.name.upper() for field in fields(Settings)}
    for name in environment:
        if name.startswith(PREFIX) and not name.startswith(TESTS) and name not in known:
            raise BadSetting(f"{name} is no setting; there are: {', '.join(sorted(known))}")
    given = {
        name.removeprefix(PREFIX).lower(): environment[name] for name in known & {*environment}
    }
    return Settings(
        data=data,
        database=given.get("database") or database_url(data),
        blobs=given.get("blobs", str(data / BLOBS)),
        broker=given.get("broker"),
        queues=given.get("queues", "countermark"),
        public_url=given.get("public_url", "http://127.0.0.1:8000").rstrip("/"),
        public_tenant=given.get("public_tenant", "local"),
        anonymous=_choice("anonymous", given.get("anonymous", _YES)),
        fetch=_choice("fetch", given.get("fetch", _NO)),
        upload_bytes=_number("upload_bytes", given.get("upload_bytes", "26214400")),
        lease=timedelta(seconds=_number("lease", given.get("lease", "30"))),
        checkers=_number("checkers", given.get("checkers", str(os.cpu_count() or 1))),
        forget=timedelta(hours=_number("forget", given.get("forget", "168"), most=CENTURY)),
        private_addresses=_choice("private_addresses", given.get("private_addresses", _NO)),
        device=_device(given.get("device", "cpu")),
        steps=_steps(given.get("steps", STEPS[0])),
        witnesses=given.get("witnesses", ""),
    )


def database_url(data: Path) -> str:
    """The database of a data folder: the SQLite file in it, unless `init` was told of another."""
    elsewhere = data / ELSEWHERE
    if elsewhere.is_file():
        return elsewhere.read_text(encoding="utf-8").strip()
    return sqlite_url(data)


def sqlite_url(data: Path) -> str:
    """The database that a data folder has unless another is named."""
    return URL.create("sqlite", database=str(data / DATABASE)).render_as_string()


def _choice(name: str, value: str) -> bool:
    if value not in (_YES, _NO):
        raise BadSetting(f"{PREFIX}{name.upper()} is yes or no, not {value[:100]!r}")
    return value == _YES


def _device(value: str) -> str:
    if not _DEVICE.fullmatch(value):
        named = f"{PREFIX}DEVICE is cpu, cuda, cuda:N or mps"
        raise BadSetting(f"{named}, not {value[:100]!r}")
    return value


def _steps(value: str) -> str:
    if value not in STEPS:
        raise BadSetting(f"{PREFIX}STEPS is {' or '.join(STEPS)}, not {value[:100]!r}")
    return value


def _number(name: str, value: str, *, most: int = 2**31 - 1) -> int:
    if not (value.isascii() and value.isdigit() and 0 < int(value[:20]) <= most):
        limit = f"a number from 1 to {most}"
        raise BadSetting(f"{PREFIX}{name.upper()} is {limit}, not {value[:100]!r}")
    return int(value)
