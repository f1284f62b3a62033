"""What docs/service.md holds: `python -m bench.serving kills|load --help`."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.icons import machine
from bench.marks.page import Table, format_table, insert
from bench.serving import kills, load
from bench.serving.running import Programs, Running, deployed, embedded
from provenance.image import encode_jpeg, encode_png

INSTALLATIONS = {"embedded": embedded, "deployed": deployed}
SIDE = 512  # px of an upload


def uploads(count: int, side: int = SIDE) -> list[bytes]:
    """Pictures of coarse noise, every other one a JPEG."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        coarse = rng.random((3, side // 8, side // 8), dtype=np.float32)
        pixels = np.ascontiguousarray(coarse.repeat(8, 1).repeat(8, 2))
        made.append(encode_jpeg(pixels, quality=90) if number % 2 else encode_png(pixels))
    return made


def main() -> None:
    """Measure, print, and put the table into a page."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("what", choices=["kills", "load"])
    parser.add_argument("--jobs", type=int, default=1000, metavar="N", help="of kills")
    parser.add_argument("--seconds", type=float, default=20.0, help="a point of load")
    parser.add_argument("--of", choices=load.KINDS, action="append", help="one kind of load")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--on", choices=list(INSTALLATIONS), action="append")
    parser.add_argument("--toy", action="store_true", help="draw grey patches, not icons")
    parser.add_argument("--docs", type=Path, metavar="PAGE", help="put the table into this page")
    options = parser.parse_args()
    programs = toy() if options.toy else Programs()
    names = options.on or list(INSTALLATIONS)
    if options.what == "kills":
        outcomes = {name: _killed(name, programs, options) for name in names}
        _say(kills.table(outcomes), options.docs)
    else:
        alone = load.direct()
        for name in names:
            with _installed(name, programs) as running:
                made = load.tables(
                    name,
                    running,
                    uploads(16),
                    seconds=options.seconds,
                    alone=alone,
                    kinds=options.of or load.KINDS,
                )
                for one in made:
                    _say(one, options.docs)


def toy() -> Programs:
    """The programs of the tests, whose generator needs no time."""
    return Programs(("tests.workers.toy_serve",), "tests.workers.toy_deployed", "toy")


def _killed(name: str, programs: Programs, options: argparse.Namespace) -> kills.Outcome:
    with _installed(name, programs) as running:
        return kills.run(
            running, uploads(16), count=options.jobs, model=programs.model, seed=options.seed
        )


def _installed(name: str, programs: Programs) -> AbstractContextManager[Running]:
    folder = Path(tempfile.mkdtemp(prefix="countermark-bench-"))
    return INSTALLATIONS[name](folder / "data", programs)


def _say(table: Table, docs: Path | None) -> None:
    text = format_table(table, day=datetime.now(UTC).date(), machine=machine())
    print(text, flush=True)
    if docs is not None:
        docs.write_text(insert(docs.read_text(encoding="utf-8"), table.name, text), "utf-8")


if __name__ == "__main__":
    main()
