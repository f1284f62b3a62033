"""What the installation's policy adds to every picture, as the file of the data folder says.

The workers check the policy against what they draw; here it is only shown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

FILE = "policy.json"


@dataclass(frozen=True)
class Policy:
    """The label that people see, whose code China's label gives, and since when."""

    label: str | None
    producer: str | None
    since: datetime


def read_policy(folder: Path) -> Policy | None:
    """The policy of a data folder; None where this process sees none."""
    file = folder / FILE
    try:
        document = json.loads(file.read_bytes())
        since = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        return Policy(document["label"], document["producer"], since)
    except (OSError, ValueError, KeyError, TypeError):
        return None
