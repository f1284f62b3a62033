"""The door's process: what it loads, how soon it is open, how much memory it holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.api.installations import Installed

ROOT = Path(__file__).parents[2]
MEGABYTES = 150
SECONDS = 2.0  # of processor time: other work on the machine does not count
# On a machine that is slow just now: as much as this many times what its libraries alone take.
TIMES = 2.0
LIBRARIES = """
import json, resource
import alembic.command, cryptography.x509, fastapi, jinja2, sqlalchemy.orm, starlette.testclient
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": used.ru_utime + used.ru_stime}))
"""
HEAVY = ("torch", "PIL", "generators", "transformers", "scipy", "pdqhash", "c2pa", "celery")
START = """
import json, resource, sys
from pathlib import Path
from starlette.testclient import TestClient
from api.__main__ import main
from api.app import create_app
from provenance.settings import read_settings
app = create_app(read_settings({"COUNTERMARK_DATABASE": sys.argv[1]}, Path(sys.argv[2])))
used = resource.getrusage(resource.RUSAGE_SELF)
with TestClient(app) as client:
    assert client.get("/ready").status_code in (200, 503)
held = int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1])
told = {"seconds": used.ru_utime + used.ru_stime, "kilobytes": held, "modules": [*sys.modules]}
print(json.dumps(told))
"""


def test_the_door_loads_nothing_heavy_and_opens_at_once(here: Installed) -> None:
    command = [sys.executable, "-c", START, here.settings.database, str(here.settings.data)]
    tries = [_start(command)]
    while tries[-1]["seconds"] >= SECONDS and len(tries) < 3:
        tries.append(_start(command))  # a busy machine makes processor time longer too
    told = tries[-1]
    assert "api.app" in told["modules"]
    loaded = {name.partition(".")[0] for name in told["modules"]}
    assert loaded & set(HEAVY) == set()
    assert not [
        name for name in told["modules"] if name.startswith("workers.") and name != "workers.queue"
    ]
    assert told["kilobytes"] < MEGABYTES * 1024
    slow = TIMES * _start([sys.executable, "-c", LIBRARIES])["seconds"]
    assert told["seconds"] < max(SECONDS, slow)


def _start(command: list[str]) -> dict[str, Any]:
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    told: dict[str, Any] = json.loads(said)
    return told
