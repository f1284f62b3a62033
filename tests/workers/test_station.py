"""A worker that cannot start says why in one line, and ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workers.folder import make

ROOT = Path(__file__).parents[2]
NEVER = "redis://nowhere"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data") / "data"
    make(place, now=datetime.now(UTC))
    return place


def started(module: str, data: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    given = {f"COUNTERMARK_{name}": value for name, value in settings.items()}
    environment = {**os.environ, "COUNTERMARK_DATA": str(data), "PYTHONPATH": str(ROOT), **given}
    command = [sys.executable, "-m", module, "draw"]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"DEVICE": "cuda:999"}, "COUNTERMARK_DEVICE: PyTorch .* has no device 'cuda:999'"),
        ({"DEVICE": "gpu"}, "COUNTERMARK_DEVICE is cpu, cuda, cuda:N or mps, not 'gpu'"),
        ({"MISSPELT": "x"}, "COUNTERMARK_MISSPELT is no setting"),
    ],
)
def test_what_it_cannot_start_with_is_told_in_one_line(
    data: Path, settings: dict[str, str], says: str
) -> None:
    for module, more in (("workers.station", {}), ("workers.deployed", {"BROKER": NEVER})):
        ended = started(module, data, **settings, **more)
        assert ended.returncode == 1
        last = ended.stderr.splitlines()[-1]
        assert last.startswith("draw: ")
        assert re.search(says, last), last
        assert "Traceback" not in ended.stderr


def test_a_worker_of_a_broker_needs_one(data: Path) -> None:
    ended = started("workers.deployed", data)
    assert (ended.returncode, "names no broker" in ended.stderr) == (1, True)
