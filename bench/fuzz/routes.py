"""Every route of a running service, tried by schemathesis with all of its checks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
HOOKS = "bench.fuzz.hooks"
PHASES = ("examples", "coverage", "fuzzing", "stateful")


def fuzz(
    address: str, key: str, *, examples: int, phases: tuple[str, ...] = PHASES, seed: int = 1
) -> tuple[int, str]:
    """The status of schemathesis, 0 without a failure, and what it said."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json"),
        *("--url", address, "--header", f"Authorization: Bearer {key}"),
        *("--checks", "all", "--phases", ",".join(phases), "--max-examples", str(examples)),
        *("--seed", str(seed), "--continue-on-failure", "--request-timeout", "60"),
        *("--suppress-health-check", "all", "--warnings", "off", "--no-color"),
    ]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT)}
    with TemporaryDirectory() as folder:  # it leaves files where it runs
        said = subprocess.run(  # noqa: S603 - our own interpreter
            command, check=False, capture_output=True, text=True, cwd=folder, env=environment
        )
    return said.returncode, said.stdout + said.stderr
