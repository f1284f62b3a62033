"""The commands of docker-compose.yml, to be run without containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[2] / "docker-compose.yml"
OURS = ("migrate", "api", "worker-gpu", "worker-cpu", "sequencer")


def services() -> dict[str, dict[str, Any]]:
    """Every service of the file, its anchors resolved."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
    return found


def module_commands() -> dict[str, list[str]]:
    """Of each of our services what stands after `python -m`."""
    made = {}
    for name in OURS:
        program, dash_m, *command = services()[name]["command"]
        assert (program, dash_m) == ("python", "-m"), f"{name} runs {program} {dash_m}"
        made[name] = [str(part) for part in command]
    return made
