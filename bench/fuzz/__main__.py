"""`python -m bench.fuzz routes|uploads --address URL --key cm_…`: try to break a running service.

`routes` runs schemathesis over its OpenAPI document with all checks; `uploads` sends hostile files
and holds what comes back against the promise: a status from 400 to 499, or a verdict or a fault
that has a name, and a service that lives and keeps below a gigabyte (`--pid`, of the whole tree).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from bench.fuzz.routes import fuzz
from bench.fuzz.uploads import MAKERS, Hostile, hostile_uploads

GIGABYTE = 2**30
PATIENCE = 600  # seconds until a job that has not ended counts as broken
PATHS = ("/v1/verifications", "/v1/marks", "/v1/matches/byContent")


def main() -> int:
    """The status: 0 if nothing broke."""
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("what", choices=("routes", "uploads"))
    parser.add_argument("--address", default="http://127.0.0.1:8000")
    parser.add_argument("--key", required=True)
    parser.add_argument("--count", type=int, default=None, help="examples a route, or uploads")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pid", type=int, default=None, help="whose memory is watched")
    options = parser.parse_args()
    if options.what == "routes":
        count = options.count or 100
        status, said = fuzz(options.address, options.key, examples=count, seed=options.seed)
        print(said)
        return status
    return _send_all(options)


def _send_all(options: argparse.Namespace) -> int:
    outcomes: Counter[tuple[str, str]] = Counter()
    broken: list[str] = []
    largest = 0
    for number, hostile in enumerate(hostile_uploads(options.count or 5_000, seed=options.seed)):
        outcome = send(options.address + path(number), options.key, hostile)
        outcomes[hostile.name, outcome] += 1
        if not allowed(outcome):
            broken.append(f"upload {number} ({hostile.name}): {outcome}")
        if options.pid is not None:
            largest = max(largest, tree_bytes(options.pid))
    for (name, outcome), count in sorted(outcomes.items()):
        print(f"| {name} | {outcome} | {count} |")
    print(f"{sum(outcomes.values())} uploads, {len(broken)} broken; at most {largest >> 20} MiB")
    print("\n".join(broken[:50]))
    return int(bool(broken) or largest >= GIGABYTE)


def path(number: int) -> str:
    """Where an upload is sent: each kind to each route in turn."""
    return PATHS[number // len(MAKERS) % len(PATHS)]


def send(address: str, key: str, hostile: Hostile) -> str:
    """What came back: a status with a problem's name, or the name of a verdict or fault."""
    headers = {"Content-Type": hostile.media, "Prefer": "wait=60"}
    headers |= {"Authorization": f"Bearer {key}", **dict(hostile.headers)}
    request = Request(address, hostile.data, headers)  # noqa: S310 - an address of ours
    try:
        with urlopen(request, timeout=120) as answer:  # noqa: S310
            document = json.loads(answer.read())
        return _named(_follow(document, headers))
    except HTTPError as e:
        body = e.read()
        if e.headers.get_content_type() == "application/problem+json":
            return f"{e.code} {json.loads(body)['code']}"
        return f"{e.code} {e.headers.get_content_type()}"
    except OSError as e:
        return f"lost: {type(e).__name__}"


def allowed(outcome: str) -> bool:
    """Whether a service may answer a hostile file like this."""
    return outcome.startswith(("4", "verdict ", "fault ", "matches", "images "))


def tree_bytes(pid: int) -> int:
    """Memory of a process and all its children in bytes, what they share counted once."""
    place = Path(f"/proc/{pid}")
    try:
        lines = (place / "smaps_rollup").read_text().splitlines()
        tasks = [(task / "children").read_text() for task in (place / "task").iterdir()]
    except OSError:
        return 0  # it ended meanwhile
    held = next((line for line in lines if line.startswith("Pss:")), "Pss: 0")
    below = [int(child) for task in tasks for child in task.split()]
    return int(held.split()[1]) * 1024 + sum(tree_bytes(child) for child in below)


def _follow(document: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """The document once its job has ended, or as it is after PATIENCE."""
    deadline = monotonic() + PATIENCE
    while document.get("state") in ("queued", "running") and monotonic() < deadline:
        sleep(1)
        with urlopen(Request(document["url"], headers=headers), timeout=120) as answer:  # noqa: S310
            document = json.loads(answer.read())
    return document


def _named(document: dict[str, Any]) -> str:
    if "matches" in document:
        return "matches"
    match document:
        case {"fault": {"code": str(code)}}:
            return f"fault {code}"
        case {"verdict": {"outcome": str(outcome)}}:
            return f"verdict {outcome}"
        case {"object": "mark", "state": "done"}:
            return "images 1"
        case _:
            return f"neither: {document.get('state')}"


if __name__ == "__main__":
    sys.exit(main())
